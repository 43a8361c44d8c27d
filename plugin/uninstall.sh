#!/usr/bin/env bash
# Takes the service and the juicefs command away; what volumes hold stays. DESTDIR: below another root, as packagers need it.
set -euo pipefail
root=${DESTDIR:-}
home=/usr/lib/juicefs-volume

if [ -z "$root" ] && pgrep -f "$home/src/mount/" >/dev/null; then
  echo "Cannot uninstall: mounts are served; stop what uses them, unmount what is no volume, wait half a minute and try again:" >&2
  findmnt -rn -t fuse.juicefs -o TARGET >&2 || true
  exit 1
fi
if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl disable --quiet --now juicefs-volume.socket juicefs-volume.service || true
fi
for file in /usr/local/bin/juicefs /sbin/mount.juicefs; do
  # Another client's stay.
  if grep -qs "$home/" "$root$file"; then rm "$root$file"; fi
done
rm -f "$root/etc/systemd/system/"juicefs-volume.{socket,service}
rm -rf "$root$home" "$root$home.old" "$root$home.new" "$root/var/cache/juicefs"
if [ -z "$root" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
echo "uninstalled; /var/lib/juicefs-volume (volumes without a metaurl, and what each volume is), /var/jfsCache and /etc/default/juicefs-volume are kept"
