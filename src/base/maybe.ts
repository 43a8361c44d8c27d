/** An answer that is there at once when it comes from memory, and later when it does not. */
export type Maybe<T> = T | Promise<T>;
