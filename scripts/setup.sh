#!/bin/sh
# Makes a fresh clone ready to run: npm packages, Node 24 among them, and with --system the
# programs that tests use as peers. Does nothing, quickly, when nothing is missing. What cannot
# be had is named and is no failure: the tests that need it skip and say so.
#
#   setup.sh [--system] [--bench] [--e2e] [--quiet]
set -eu
cd "$(dirname "$0")/.."

want_system=no
want_bench=no
want_e2e=no
for option in "$@"; do
  case $option in
    --system) want_system=yes ;;
    --bench) want_bench=yes ;;
    --e2e) want_e2e=yes ;;
    *) echo "setup.sh: unknown option $option" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*" >&2; }

# One line each: a command whose presence proves the Debian package, and the package.
system_table='nbdinfo libnbd-bin
nbdsh python3-libnbd
nbdkit nbdkit
qemu-img qemu-utils
fio fio
rsync rsync
restic restic
zstd zstd
socat socat
mkfs.ext4 e2fsprogs
mkfs.xfs xfsprogs
fusermount3 fuse3
sqlite3 sqlite3
git git
openssl openssl
docker-registry docker-registry
skopeo skopeo
htpasswd apache2-utils
ip iproute2
ps procps
stunnel4 stunnel4
setfacl acl
getfattr attr
ansible-playbook ansible-core'
bench_table='borg borgbackup
casync casync'
e2e_table='containerd containerd
runc runc
iptables iptables
/usr/lib/cni/bridge containernetworking-plugins'

# File system tools live where an ordinary user's PATH often does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# Two runs at once on a fresh clone must not both install; the lock ends with this process.
lock() {
  mkdir -p .state
  exec 9>.state/setup.lock
  if command -v flock >/dev/null 2>&1; then
    flock 9
  fi
}

# The installed tree's own record is newer than the lockfile after any install, by hand or not.
npm_is_fresh() {
  [ -f node_modules/.package-lock.json ] || return 1
  [ -z "$(find package-lock.json -newer node_modules/.package-lock.json)" ] && return 0
  # A checkout may have touched the lockfile without changing it: then compare what it says.
  node scripts/lock-matches.mjs 2>/dev/null || return 1
  touch node_modules/.package-lock.json
}

install_npm() {
  if npm_is_fresh; then return 0; fi
  lock
  if npm_is_fresh; then return 0; fi
  if ! command -v npm >/dev/null 2>&1; then
    say "npm is not installed: install Node.js 20 or newer with npm, then try again"
    exit 1
  fi
  say "installing npm packages (npm ci)"
  # This may run inside `npm test`: the outer npm's node_modules/.bin must not lend npm the Node
  # that is about to be replaced, and its settings must not leave out what tests need.
  outer_path=$PATH
  PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -v 'node_modules' | tr '\n' ':')
  PATH=${PATH%:}
  NODE_ENV=development npm ci --include=dev --include=optional --ignore-scripts --no-audit \
    --no-fund --loglevel=error </dev/null >&2 9>&- || {
    say "npm ci failed; its message is above. Try again with: npm ci"
    exit 1
  }
  PATH=$outer_path
}

# Prints the packages of the table on stdin whose command is not there.
missing_packages() {
  while read -r program package; do
    command -v "$program" >/dev/null 2>&1 || printf '%s ' "$package"
  done
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=2 \
    "$@" </dev/null >&2 9>&-
}

apt_install() {
  apt install -y --no-install-recommends "$@"
}

# $1: name of the table, $2: the table.
install_system() {
  missing=$(printf '%s\n' "$2" | missing_packages)
  if [ -z "$missing" ]; then return 0; fi
  if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    say "missing: $missing- what needs them is skipped"
    say "to have it all: sudo apt-get install $missing"
    return 0
  fi
  # What could not be had an hour ago is not tried again at every run.
  note=.state/not-had-$1
  if [ -n "$(find "$note" -mmin -60 2>/dev/null)" ] && [ "$(cat "$note")" = "$missing" ]; then
    say "missing: $missing- what needs them is skipped (rm $note to try again)"
    return 0
  fi
  lock
  missing=$(printf '%s\n' "$2" | missing_packages)
  if [ -z "$missing" ]; then return 0; fi
  say "installing Debian packages: $missing"
  # Word splitting is meant: one argument per package.
  # shellcheck disable=SC2086
  if ! apt_install $missing 2>/dev/null; then
    apt update || say "apt-get update failed; going on with what is known"
    # shellcheck disable=SC2086
    if ! apt_install $missing; then
      # One that does not exist here must not keep away the others.
      for package in $missing; do
        apt_install "$package" || say "cannot install $package"
      done
    fi
  fi
  missing=$(printf '%s\n' "$2" | missing_packages)
  if [ -n "$missing" ]; then
    printf '%s' "$missing" >"$note"
    say "missing: $missing- what needs them is skipped"
  else
    rm -f "$note"
  fi
}

install_npm
if [ "$want_system" = yes ]; then install_system system "$system_table"; fi
if [ "$want_bench" = yes ]; then install_system bench "$bench_table"; fi
if [ "$want_e2e" = yes ]; then install_system e2e "$e2e_table"; fi
