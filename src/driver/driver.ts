import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { log } from "../base/log.ts";
import { VERSION } from "../base/version.ts";
import { holdersElsewhere } from "../mount/bind.ts";
import { findOrphans } from "../mount/orphans.ts";
import { DATABASES, EmbeddedRedis } from "./embedded-redis.ts";
import { Lock } from "./lock.ts";
import { Mounter } from "./mounter.ts";
import { isMadeUp, requireName } from "./names.ts";
import {
  destroysOnRemove,
  parseVolumeOptions,
  requireKept,
  sameOptions,
  verifies,
  type VolumeOptions,
} from "./options.ts";
import { originOf, type OwnStores } from "./origin.ts";
import type { ShownVolume } from "./protocol.ts";
import { References } from "./references.ts";
import { maskUrl, Vault } from "./secrets.ts";
import type { Settings } from "./settings.ts";
import { StateFile } from "./state-file.ts";
import {
  bootId,
  emptyState,
  loadRecord,
  SavedState,
  saveRecord,
  type SavedVolume,
} from "./state.ts";
import { Volume, type VolumeRecord } from "./volume.ts";

/**
 * The volumes of this host. What the engine asks all the time is answered from memory: an engine that hears of an error takes
 * a volume for gone and forgets its labels. So a volume that was created stays known whatever happens to its stores.
 */

const LOOK_MS = 2000;
/** dockerd gives a plugin 10 s to end. What containers still hold does not end before them. */
const FLUSH_MS = 6000;
const ENDED_MS = 1000;

export class Driver {
  readonly #settings: Settings;
  readonly #cutOff: () => void;
  readonly #file: StateFile<SavedState>;
  readonly #vault: Vault;
  readonly #mounter: Mounter;
  readonly #own: OwnStores;
  readonly #volumes = new Map<string, Volume>();
  readonly #databases: Map<string, number>;
  /** One change of a volume's existence at a time, by name. */
  readonly #existence = new Map<string, Lock>();
  #looking: NodeJS.Timeout | undefined;

  /**
   * Reads what is known; never fails on what it reads. Nothing is started or mounted before `restore`. `cutOff`: called when
   * the engine sees nothing any more of what is mounted here, until the plugin is started again.
   */
  constructor(settings: Settings, { cutOff = () => undefined }: { cutOff?: () => void } = {}) {
    this.#cutOff = cutOff;
    const { state } = settings;
    this.#settings = settings;
    const logs = join(state, "log");
    this.#file = new StateFile(join(state, "state.json"), SavedState);
    this.#vault = new Vault(join(state, "key"));
    this.#mounter = new Mounter(settings, logs);
    this.#own = {
      redis: new EmbeddedRedis({ state, logs }),
      objects: join(state, "objects"),
      secretFiles: join(state, "secrets"),
    };
    makeFolders([logs, this.#own.secretFiles], state);
    const saved = this.#file.load() ?? emptyState();
    this.#databases = new Map(Object.entries(saved.databases));
    const sameBoot = saved.boot === bootId();
    for (const [name, volume] of Object.entries(saved.volumes)) {
      this.#volumes.set(name, this.#volume(name, loadRecord(volume, { sameBoot })));
    }
  }

  /** Takes over what an earlier driver left, mounts what is in use, ends what nobody knows. Settles after the first tries. */
  async restore(): Promise<void> {
    if (this.#volumes.values().some(({ record }) => record.database !== undefined)) {
      void this.#own.redis.start().catch((error: unknown) => {
        log.error({ error }, "the driver's own Redis does not start");
      });
    }
    await this.#mounter.prepare().catch((error: unknown) => {
      log.error({ error }, "cannot prepare the folder of the mounts");
    });
    await Promise.all([...this.#volumes.values()].map((volume) => restored(volume)));
    for (const name of this.#mounter.mountedNames()) {
      if (this.#volumes.has(name)) continue;
      log.warn({ volume: name }, "a mount of a volume that is not known is ended");
      await this.#mounter.release(name).catch((error: unknown) => {
        log.error({ volume: name, error }, "cannot unmount");
      });
    }
    this.#mounter.sweep();
    await this.#rescue();
    this.#looking ??= setInterval(() => {
      void this.#look();
    }, LOOK_MS).unref();
  }

  /** @throws Error in one sentence; the volume is not known then */
  async create(
    name: string,
    opts: Readonly<Record<string, string>> | null | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    requireName(name);
    const options = parseVolumeOptions(opts);
    requireKept(options, this.#settings.kept);
    await this.#alone(name, async () => {
      const known = this.#volumes.get(name);
      if (known !== undefined) {
        if (sameOptions(options, this.#optionsOf(name, known.record))) return;
        throw new Error(
          `Cannot create volume "${name}": there is one with other options; remove it first (its data stays)`,
        );
      }
      await this.#create(name, options, signal);
    });
  }

  get(name: string): ShownVolume {
    const volume = this.#known(name);
    const { record, target } = volume;
    const status = { ...volume.status(), driverVersion: VERSION };
    return { Name: name, Mountpoint: target, CreatedAt: record.createdAt, Status: status };
  }

  list(): ShownVolume[] {
    return [...this.#volumes].map(([Name, { target, record }]) => ({
      ...{ Name, Mountpoint: target, CreatedAt: record.createdAt },
    }));
  }

  /** Forgets a volume; its data stays unless it was created otherwise. @throws Error in one sentence; it stays known then */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    this.#known(name);
    await this.#alone(name, async () => {
      const volume = this.#known(name);
      const { given, database, made } = volume.record;
      const destroy = destroysOnRemove(given) || isNameless(name, volume.record);
      await volume.remove({ destroy, signal });
      this.#volumes.delete(name);
      // What was not destroyed may be there from a volume of that name before.
      if (destroy && database !== undefined && made !== undefined) {
        this.#databases.delete(name);
        await rm(join(this.#own.objects, name), { recursive: true, force: true });
      }
      await this.#saved();
      log.info({ volume: name }, "removed");
    });
  }

  path(name: string): string {
    return this.#known(name).target;
  }

  /** @returns where it is mounted @throws Error in one sentence; no reference is left then */
  async mount(name: string, id: string, signal: AbortSignal): Promise<string> {
    return this.#known(name).use(id, signal);
  }

  /** An ID that nobody knows is no error: the engine may have told it twice. */
  async unmount(name: string, id: string): Promise<void> {
    await this.#known(name).leave(id);
  }

  /** Another engine asks from now on. */
  engineChanged(): void {
    for (const { record } of this.#volumes.values()) record.references.engineChanged();
    void this.#saved();
  }

  /** The names of those that somebody uses. */
  usedVolumes(): string[] {
    const used = [...this.#volumes].filter(([, { record }]) => !record.references.empty);
    return used.map(([name]) => name);
  }

  /** Leaves mounts and Redis to the next driver. */
  leave(): void {
    clearInterval(this.#looking);
    for (const volume of this.#volumes.values()) volume.leaveBehind();
    this.#own.redis.leave();
  }

  /** Unmounts everything, with what was written stored; for the case that all processes end now. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    // Nobody who uses a volume now can use it afterwards: these references are void.
    for (const { record } of this.#volumes.values()) record.references.clear();
    await this.#saved();
    const volumes = [...this.#volumes.values()];
    await Promise.all(volumes.map((volume) => volume.close({ flushMs: FLUSH_MS })));
    await this.#mounter.allEnded(ENDED_MS);
    await this.#own.redis.stop();
    await this.#mounter.takeDown();
  }

  /** Mounts for a while what nobody uses and what mounts that died left something for that is not stored. */
  async #rescue(): Promise<void> {
    const left = (await findOrphans()).filter(({ unstored }) => unstored);
    const uuids = new Set(left.map(({ owner }) => owner.uuid));
    const concerned = [...this.#volumes.values()].filter(({ record }) => {
      return record.made !== undefined && uuids.has(record.made.uuid);
    });
    await Promise.all(concerned.map((volume) => volume.rescue()));
  }

  async #create(name: string, options: VolumeOptions, signal: AbortSignal): Promise<void> {
    const database = ownsMetadata(options) ? this.#database(name) : undefined;
    const record: VolumeRecord = {
      ...{ createdAt: new Date().toISOString(), given: options.given },
      sealed: await this.#vault.seal(name, options.secrets),
      ...{ database, metadata: shownMetadata(options, database) },
      made: undefined,
      generation: 0,
      references: new References(),
    };
    const volume = this.#volume(name, record);
    if (verifies(options)) await volume.make(signal);
    this.#volumes.set(name, volume);
    try {
      await this.#save();
      signal.throwIfAborted();
    } catch (error) {
      this.#volumes.delete(name);
      if (signal.aborted) void this.#saved();
      const text = error instanceof Error ? error.message : String(error);
      throw new Error(`Cannot create volume "${name}": ${text}`, { cause: error });
    }
    log.info({ volume: name, options: options.given }, "created");
  }

  #volume(name: string, record: VolumeRecord): Volume {
    return new Volume(name, record, {
      ...{ mounter: this.#mounter, graceMs: this.#settings.graceMs },
      originOf: (of, { database }) =>
        originOf(of, this.#optionsOf(of, record), database, this.#own),
      save: () => this.#saved(),
    });
  }

  #optionsOf(name: string, { given, sealed }: VolumeRecord): VolumeOptions {
    return { given, secrets: this.#vault.open(name, sealed) };
  }

  /** @throws Error */
  #known(name: string): Volume {
    const volume = this.#volumes.get(name);
    if (volume === undefined) throw new Error(`no such volume: ${JSON.stringify(name)}`);
    return volume;
  }

  async #alone(name: string, work: () => Promise<void>): Promise<void> {
    const lock = this.#existence.get(name) ?? new Lock();
    this.#existence.set(name, lock);
    await lock.run(work);
  }

  /** The one that a volume of that name has had, else a new one. */
  #database(name: string): number {
    const had = this.#databases.get(name);
    if (had !== undefined) return had;
    const used = new Set(this.#databases.values());
    const free = Array.from({ length: DATABASES }, (_, number) => number);
    const number = free.find((candidate) => !used.has(candidate));
    if (number === undefined) {
      throw new Error(
        `Cannot create volume "${name}": the driver's own Redis has no database left; give a metaurl`,
      );
    }
    this.#databases.set(name, number);
    return number;
  }

  async #look(): Promise<void> {
    if (this.#mounter.cutOff) {
      this.#cutOff();
      return;
    }
    await Promise.all(
      [...this.#volumes.values()].map((volume) =>
        volume.look().catch((error: unknown) => {
          log.error({ volume: volume.name, error }, "cannot look after the mount");
        }),
      ),
    );
    // Inside the plugin only its own processes can be seen.
    if (this.#settings.managed) return;
    const volumes = [...this.#volumes.values()];
    const dropped = volumes.filter((volume) => volume.dropStale(holdersElsewhere));
    if (dropped.length > 0) await this.#saved();
  }

  async #save(): Promise<void> {
    await this.#file.save(() => this.#state());
  }

  /** As far as it can be: what is mounted and used goes on without. */
  async #saved(): Promise<void> {
    await this.#save().catch((error: unknown) => {
      log.error({ error }, "the state cannot be saved");
    });
  }

  #state(): SavedState {
    const volumes: Record<string, SavedVolume> = {};
    for (const [name, { record }] of this.#volumes) volumes[name] = saveRecord(record);
    return { version: 1, boot: bootId(), databases: Object.fromEntries(this.#databases), volumes };
  }
}

/** Its metadata lies here only and the engine made up its name: nobody would ever find its data again. */
function isNameless(name: string, { given, database }: VolumeRecord): boolean {
  return isMadeUp(name) && database !== undefined && !("on-remove" in given);
}

function ownsMetadata({ given, secrets }: VolumeOptions): boolean {
  return !("metaurl" in secrets) && !("metaurl-file" in given);
}

function shownMetadata({ given, secrets }: VolumeOptions, database: number | undefined): string {
  if (database !== undefined) return `the driver's own Redis, database ${database}`;
  const url = secrets["metaurl"];
  return url === undefined ? `metaurl-file ${given["metaurl-file"]}` : maskUrl(url);
}

/** The rest of the driver's folders holds what nobody else may read; only the way to the mounts is open. */
function makeFolders(folders: readonly string[], state: string): void {
  try {
    mkdirSync(state, { recursive: true, mode: 0o711 });
    for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    log.error({ error }, "the driver's folder cannot be written");
  }
}

async function restored(volume: Volume): Promise<void> {
  await volume.restore().catch((error: unknown) => {
    log.error({ volume: volume.name, error }, "cannot restore a volume");
  });
}
