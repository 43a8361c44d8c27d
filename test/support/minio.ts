import { minioBinary } from "./binaries.ts";
import { makeFolder } from "./folder.ts";
import { freePort, startProgram, until } from "./process.ts";

export const MINIO_USER = "minioadmin";
export const MINIO_PASSWORD = "minio-secret";

/** A MinIO server of the test's own, with one empty disk. */
export interface TestMinio extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  bucket(name: string): string;
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

/** What `format` is told so that objects lie there. */
export function onMinio(minio: TestMinio, bucket = "data"): string[] {
  return [
    ...["--storage", "minio", "--bucket", minio.bucket(bucket)],
    ...["--access-key", MINIO_USER, "--secret-key", MINIO_PASSWORD],
  ];
}

export async function startMinio(
  options: { port?: number; folder?: string; password?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<TestMinio> {
  const folder = await makeFolder();
  const port = options.port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${port}`;
  const program = startProgram(
    minioBinary(),
    ["server", "--quiet", "--address", `127.0.0.1:${port}`, options.folder ?? folder.path],
    {
      env: {
        ...process.env,
        ...options.env,
        MINIO_ROOT_USER: MINIO_USER,
        MINIO_ROOT_PASSWORD: options.password ?? MINIO_PASSWORD,
        MINIO_BROWSER: "off",
      },
    },
  );
  await until(`MinIO on port ${port}`, async () => {
    // Ready is not yet: users come a moment later, and until then everything is answered with 503.
    const answer = await fetch(endpoint).catch(() => undefined);
    return answer?.status === 403;
  });
  return {
    port,
    endpoint,
    bucket: (name) => `${endpoint}/${name}`,
    stop: program.stop,
    async [Symbol.asyncDispose]() {
      await program.stop("SIGKILL");
      await folder[Symbol.asyncDispose]();
    },
  };
}
