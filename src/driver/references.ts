/**
 * Who uses a volume, by the engine's mount IDs. The engine sends one ID twice (docker cp, a start after its own crash),
 * sends an Unmount for IDs nobody knows, and forgets IDs when it dies. So an ID is counted, an unknown one is no error, and
 * counts collapse to one when a new engine shows up: its copies died with the old one, its containers may not have.
 *
 * After that an ID is stale until it is heard of again. Its next Mount is the same user starting again, so it counts once.
 */
export class References {
  readonly #users: Map<string, User>;

  constructor(saved: readonly SavedReference[] = []) {
    this.#users = new Map(saved.map(({ id, count, stale }) => [id, { count, stale }]));
  }

  get empty(): boolean {
    return this.#users.size === 0;
  }

  get ids(): string[] {
    return [...this.#users.keys()];
  }

  get anyStale(): boolean {
    return this.#users.values().some(({ stale }) => stale);
  }

  /** How many the engine that is there now has asked for. */
  get fresh(): number {
    return [...this.#users.values()].filter(({ stale }) => !stale).length;
  }

  add(id: string): void {
    const user = this.#users.get(id);
    const count = user === undefined || user.stale ? 1 : user.count + 1;
    this.#users.set(id, { count, stale: false });
  }

  /** @returns false when nobody knows the ID */
  remove(id: string): boolean {
    const user = this.#users.get(id);
    if (user === undefined) return false;
    if (user.count > 1) this.#users.set(id, { ...user, count: user.count - 1 });
    else this.#users.delete(id);
    return true;
  }

  /** Another engine than the one that sent these IDs. */
  engineChanged(): void {
    for (const id of this.#users.keys()) this.#users.set(id, { count: 1, stale: true });
  }

  /** Drops what no engine has asked for since the last change of engines. */
  dropStale(): void {
    for (const [id, { stale }] of this.#users) if (stale) this.#users.delete(id);
  }

  clear(): void {
    this.#users.clear();
  }

  save(): SavedReference[] {
    return [...this.#users].map(([id, user]) => ({ id, ...user }));
  }
}

interface User {
  readonly count: number;
  readonly stale: boolean;
}

export interface SavedReference extends User {
  readonly id: string;
}
