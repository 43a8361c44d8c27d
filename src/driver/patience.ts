/** How long and for what a user of a volume waits. */

/** What another try may find otherwise: a server that is not there yet. */
export function worthRetrying(error: unknown): boolean {
  const text = error instanceof Error ? error.message : String(error);
  return /nobody listens|no such host|ECONNRESET|ETIMEDOUT|timed out|LOADING|Connection is closed/i.test(
    text,
  );
}

/** `work`, or an error as soon as `signal` aborts; the work goes on then. */
export async function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => {
    aborted.reject(new Error("It takes too long"));
  };
  signal.addEventListener("abort", abort, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** That a file system was not made or found, with what it waited for: the caller's `signal` ends only what had no turn. */
export function madeTooLate(
  { name, record }: { readonly name: string; readonly record: { readonly metadata: string } },
  signal: AbortSignal,
): Error {
  const because = signal.aborted
    ? "too much is done at once; try again"
    : `its metadata (${record.metadata}) or its bucket does not answer`;
  return new Error(`Cannot make or find the file system of volume "${name}" in time: ${because}`);
}
