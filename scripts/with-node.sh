#!/bin/sh
# Sets up, then runs a TypeScript program of this repository with Node 24:
#   with-node.sh [--system] [--bench] [--e2e] program.ts [argument...]
set -eu

here=$(CDPATH='' cd -- "$(dirname "$0")" && pwd -P)
root=${here%/*}
options=
while :; do
  case ${1:-} in
    --system | --bench | --e2e) options="$options $1"; shift ;;
    *) break ;;
  esac
done
if [ $# -eq 0 ]; then
  echo "usage: with-node.sh [--system] [--bench] [--e2e] program.ts [argument...]" >&2
  exit 2
fi

program=$1
shift
if [ ! -f "$root/$program" ]; then
  echo "with-node.sh: $program does not exist in this checkout" >&2
  exit 1
fi

# Word splitting is meant: one word per option.
# shellcheck disable=SC2086
sh "$here/setup.sh" $options

# Peers such as mkfs.ext4 live where an ordinary user's PATH often does not look.
PATH=$root/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
if [ "${major:-0}" -lt 24 ]; then
  echo "with-node.sh: needs Node.js 24; npm has none for this system, so put it in PATH" >&2
  exit 1
fi
cd "$root"
exec node --disable-warning=ExperimentalWarning "$program" "$@"
