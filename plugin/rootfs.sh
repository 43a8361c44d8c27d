#!/usr/bin/env bash
# Builds what `docker plugin create` takes: a folder (plugin/build, or the one given) with config.json and rootfs. Nothing is
# downloaded: programs come from this machine with the libraries they need, Node's packages from node_modules without those for
# development.
set -euo pipefail
build=$(realpath -m "${1:-$(dirname "$0")/build}")
cd "$(dirname "$0")/.."
root=$build/rootfs

rm -rf "$build"
mkdir -p "$root"/{etc,dev,proc,sys,tmp,jfs,plugin,run/docker/plugins,var/lib,usr/bin,usr/sbin,usr/lib,usr/lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
chmod 1777 "$root/tmp"

# Copies a file to its own place in the rootfs, with the shared libraries it is linked to.
install_file() {
  local to=${2:-$1}
  install -D -m 755 "$(readlink -f "$1")" "$root$to"
  while read -r library; do
    [ -e "$root$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
  done < <(ldd "$1" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' || true)
}

install_file "$(readlink -f node_modules/.bin/node)" /usr/bin/node
for program in tini mount umount stat sleep sh redis-server; do
  path=$(command -v "$program") || { echo "$program is missing: run test/support/install.sh" >&2; exit 1; }
  install_file "$path" "/usr/bin/$program"
done

plugin/product.sh "$root/plugin"
while read -r addon; do
  install_file "$addon" "/plugin/$addon"
done < <(cd "$root/plugin" && find node_modules -name '*.node')

install -m 755 plugin/start "$root/plugin/start"
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
# An engine refuses a rootfs that is byte for byte another plugin's.
date -u +%FT%T.%NZ >"$root/plugin/built"
cp config.json "$build/"
du -sh "$root" | sed 's/\t.*//; s/^/rootfs: /'
