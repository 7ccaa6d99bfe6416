# shellcheck shell=bash
# A clean Debian on this machine, and a real systemd booted in it, inside namespaces of their own. Sourced after lib.sh and
# cross-lib.sh, as root, in the root of the checkout. Nothing of the machine's own systemd is touched.

# debian_root SUITE PACKAGE...: makes $CROSS_DIR/debian-SUITE/root with systemd and these packages, once. Minutes.
debian_root() {
  local suite=$1 dir="$CROSS_DIR/debian-$1"
  shift
  if stamped "$dir/.stamp" "$*"; then
    skip "a Debian $suite"
    return
  fi
  step "A Debian $suite"
  rm -rf "$dir"
  mkdir -p "$dir"
  mkdir -p "$ARCHIVES"
  (
    # One at a time: all share the folder of what was fetched.
    flock 9
    debootstrap --variant=minbase --cache-dir="$ARCHIVES" --include=systemd,ca-certificates "$suite" "$dir/root" "$DEBIAN_MIRROR" ||
      exit 1
    # Nothing is started while it is filled.
    printf '#!/bin/sh\nexit 101\n' >"$dir/root/usr/sbin/policy-rc.d"
    chmod 755 "$dir/root/usr/sbin/policy-rc.d"
    cp -L /etc/resolv.conf "$dir/root/etc/"
    # shellcheck disable=SC2016 # for the other shell
    unshare --mount sh -euc '
      mount --bind "$1" "$2/var/cache/apt/archives"
      root=$2
      shift 2
      export DEBIAN_FRONTEND=noninteractive
      chroot "$root" apt-get -q update
      chroot "$root" apt-get -q install -y --no-install-recommends "$@"' _ "$ARCHIVES" "$dir/root" "$@"
  ) 9>"$ARCHIVES/.lock" >"$dir/log" 2>&1 || die "the Debian was not made: see $dir/log"
  rm "$dir/root/usr/sbin/policy-rc.d"
  echo "$*" >"$dir/.stamp"
}

# boot ROOT DIR: boots systemd in a copy of ROOT that takes up only what changes (DIR/changes). Sets INIT, its process.
# The network inside is its own loop alone.
boot() {
  local root=$1 dir=$2
  mkdir -p "$dir"/{changes,work,mount}
  # A hierarchy of its own below ours, as a container has; systemd keeps its services apart with it.
  CGROUP=$(dirname "$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.subtree_control -print -quit)")/faced-check.$$
  mkdir "$CGROUP"
  (
    echo "$BASHPID" >"$CGROUP/cgroup.procs"
    exec unshare --mount --pid --fork --cgroup --uts --ipc --net --kill-child=KILL \
      bash deploy/check/init.sh "$root" "$dir"
  ) >"$dir/console.log" 2>&1 &
  OUTSIDE=$!
  INIT=
  for _ in $(seq 600); do
    kill -0 "$OUTSIDE" 2>/dev/null || die "systemd ended: see $dir/console.log"
    INIT=$(cat "/proc/$OUTSIDE/task/$OUTSIDE/children" 2>/dev/null) && INIT=${INIT%% *}
    if [ -n "$INIT" ] && [ "$(cat "/proc/$INIT/comm" 2>/dev/null)" = systemd ]; then
      case $(inside systemctl is-system-running 2>/dev/null || true) in running | degraded) return ;; esac
    fi
    sleep 0.1
  done
  die "systemd is not up after a minute: see $dir/console.log"
}

# A command in the booted system.
inside() { nsenter --target "$INIT" --mount --uts --ipc --net --pid --cgroup --root --wdns=/ "$@"; }

shut_down() {
  [ -z "${OUTSIDE:-}" ] || { kill -KILL "$OUTSIDE" && wait "$OUTSIDE"; } 2>/dev/null || true
  OUTSIDE=
  # With its first process everything in it has ended; the kernel needs a moment.
  for _ in $(seq 100); do
    find "$CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null && return
    sleep 0.1
  done
}
