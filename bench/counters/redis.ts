import { Redis } from "ioredis";

/** What a Redis server did so far. */
export interface RedisCounts {
  /**
   * Times that the server read from a connection: a command, or several that a client sent at once. For a client that
   * waits for each answer these are its round trips.
   */
  readonly roundTrips: number;
  /** Commands executed, those inside of scripts too. */
  readonly commands: number;
  readonly cpuSeconds: number;
}

/** Asks a server for its counters; what it asks is not counted. */
export class RedisCounter {
  readonly #client: Redis;
  #asked = 0;

  constructor(url: string) {
    this.#client = new Redis(url, { protocol: 2, enableReadyCheck: false });
  }

  async read(): Promise<RedisCounts> {
    const text = await this.#client.info("everything");
    this.#asked++;
    const value = (name: string): number =>
      Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(text)?.[1] ?? 0);
    return {
      roundTrips: value("total_reads_processed") - this.#asked,
      commands: value("total_commands_processed") - this.#asked,
      cpuSeconds: value("used_cpu_user") + value("used_cpu_sys"),
    };
  }

  close(): void {
    this.#client.disconnect();
  }
}
