import { optionalCount, optionalOnOff, rsaPassphrase, size, text } from "./specs.ts";
import type { OptionSpec, OptionTable, OptionValues } from "./table.ts";
import { GIB, parseChoice } from "./values.ts";

/** What `format` takes, under JuiceFS's own names (cmd/format.go, 1.4). Absent: the default, or what the volume has. */

const compress: OptionSpec<string | undefined> = {
  ...{ group: "FORMAT", help: "none, lz4, zstd", value: "how", shown: "none", initial: undefined },
  parse: (given) => parseChoice(given, ["none", "lz4", "zstd"]),
};

const encryptAlgo: OptionSpec<string | undefined> = {
  ...{ group: "FORMAT", value: "how", shown: "aes256gcm-rsa", initial: undefined },
  help: "aes256gcm-rsa, chacha20-rsa, sm4gcm",
  parse: (given) => parseChoice(given, ["aes256gcm-rsa", "chacha20-rsa", "sm4gcm"]),
};

export const formatTable = {
  storage: text({
    ...{ group: "STORAGE", help: "driver: file, s3, minio" },
    ...{ value: "driver", shown: "file" },
  }),
  bucket: text({
    ...{ group: "STORAGE", help: "URL of the bucket, or folder of file storage", value: "url" },
  }),
  "access-key": text({ group: "STORAGE", help: "or ACCESS_KEY in the environment" }),
  "secret-key": text({ group: "STORAGE", help: "or SECRET_KEY in the environment", secret: true }),
  "session-token": text({
    ...{ group: "STORAGE", help: "or SESSION_TOKEN in the environment", secret: true },
  }),
  "storage-class": text({ group: "STORAGE", help: "of new objects", value: "class" }),
  tag: text({ group: "STORAGE", help: "of new objects, for the store", value: "key=value" }),

  "block-size": size({
    ...{ group: "FORMAT", unit: 1024, initial: undefined, shown: "4M" },
    help: "of the objects that files are cut into, KiB",
  }),
  compress,
  "hash-prefix": optionalOnOff({ group: "FORMAT", help: "spread objects over many prefixes" }),
  shards: optionalCount({
    ...{ group: "FORMAT", shown: "0" },
    help: "spread objects over so many buckets; the bucket's name has a %d for the number",
  }),
  "encrypt-rsa-key": text({
    ...{ group: "FORMAT", value: "file", secret: true },
    help: "private RSA key in PEM that objects are encrypted with",
  }),
  "rsa-passphrase": rsaPassphrase("FORMAT"),
  "encrypt-algo": encryptAlgo,
  capacity: size({
    ...{ group: "FORMAT", unit: GIB, initial: undefined, shown: "0" },
    help: "most the volume may hold, GiB; 0 without limit",
  }),
  inodes: optionalCount({ group: "FORMAT", help: "most inodes; 0 without limit", shown: "0" }),
  "trash-days": optionalCount({
    ...{ group: "FORMAT", help: "how long removed files are kept", shown: "1" },
  }),
  "enable-acl": optionalOnOff({ group: "FORMAT", help: "POSIX ACLs; they cannot be turned off" }),
} satisfies OptionTable;

/** What was given; an option that is absent keeps its default, or what the volume has. */
export type FormatValues = Partial<OptionValues<typeof formatTable>>;
