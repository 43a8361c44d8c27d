#!/usr/bin/env bash
# Installs the driver as a service of this machine, and the juicefs command. Run again it upgrades: mounts that are served are
# handed over to the new version when the driver has started again. DESTDIR: below another root, as packagers need it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=${DESTDIR:-}
home=/usr/lib/juicefs-volume
new=$root$home.new

rm -rf "$new"
plugin/product.sh "$new"
install -D -m 755 "$(readlink -f node_modules/.bin/node)" "$new/bin/node"
cp -r docs examples "$new/"
# Processes that run load more of their program now and then, from the folder as it was.
if [ -e "$root$home" ]; then
  rm -rf "$root$home.old"
  mv "$root$home" "$root$home.old"
fi
mv "$new" "$root$home"

install -d "$root/usr/local/bin" "$root/etc/systemd/system"
printf '#!/bin/sh\nexec %s/bin/node %s/src/main.ts "$@"\n' $home $home >"$root/usr/local/bin/juicefs"
chmod 755 "$root/usr/local/bin/juicefs"
# What mount(8) and fstab call for the type juicefs; another client's stays.
helper=$root/sbin/mount.juicefs
if [ ! -e "$helper" ] && [ ! -L "$helper" ] || grep -qs "$home/" "$helper"; then
  install -d "$root/sbin"
  printf '#!/bin/sh\nCALL_VIA_MOUNT=1 exec %s/bin/node %s/src/main.ts "$@"\n' $home $home >"$helper"
  chmod 755 "$helper"
fi
install -m 644 plugin/systemd/juicefs-volume.{socket,service} "$root/etc/systemd/system/"

if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --quiet juicefs-volume.socket juicefs-volume.service
  systemctl start juicefs-volume.socket
  systemctl restart juicefs-volume.service
  echo "juicefs-volume runs: docker volume create -d juicefs NAME"
else
  echo "installed; where systemd runs: systemctl enable --now juicefs-volume.socket juicefs-volume.service"
fi
