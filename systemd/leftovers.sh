#!/bin/sh
# leftovers.sh [PROCS]: run by faced.service when the daemon has ended, however that was. Ends what is left of it, such as
# a vision process that hangs and would keep the camera. The holder of a lock stays: it ends a pulse by itself, and it
# keeps a fail-safe door locked until the next daemon takes the wire over.
# PROCS: the file with the numbers of the processes; left out, that of the service's own control group.
set -u

own_group() {
  # cgroup v1 with systemd's own hierarchy, else v2.
  sed -n -e 's|^[0-9]*:name=systemd:\(.*\)$|/sys/fs/cgroup/systemd\1|p' /proc/self/cgroup
  sed -n -e 's|^0::\(.*\)$|/sys/fs/cgroup\1|p' /proc/self/cgroup
}

procs=${1:-}
if [ -z "$procs" ]; then
  for group in $(own_group); do
    if [ -r "$group/cgroup.procs" ]; then
      procs=$group/cgroup.procs
      break
    fi
  done
fi
[ -n "$procs" ] || exit 0

# All of them before the first is killed: the list changes with each.
# shellcheck disable=SC2013 # numbers have no spaces
for pid in $(cat "$procs"); do
  [ "$pid" != $$ ] || continue
  name=$(cat "/proc/$pid/comm" 2>/dev/null) || continue
  [ "$name" != faced-lock ] || continue
  kill -KILL "$pid" 2>/dev/null || true
done
