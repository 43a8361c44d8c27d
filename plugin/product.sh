#!/usr/bin/env bash
# Copies the product to a folder: the sources, and Node's packages without those for development, from node_modules.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$1
mkdir -p "$target"

# What the lock file does not mark as for development, as far as it is installed for this machine.
node -e '
  const { packages } = JSON.parse(require("fs").readFileSync("package-lock.json", "utf8"));
  const wanted = Object.entries(packages).filter(([path, one]) => path !== "" && one.dev !== true);
  process.stdout.write(wanted.map(([path]) => path + "\n").join(""));
' | while read -r package; do
  [ -d "$package" ] || continue
  mkdir -p "$target/$package"
  # Packages inside a package are on the list themselves.
  tar -C "$package" --exclude ./node_modules --exclude '*.map' --exclude '*.d.ts' --exclude '*.md' -c . |
    tar -C "$target/$package" --no-same-owner -x
done
cp -r src package.json "$target/"
