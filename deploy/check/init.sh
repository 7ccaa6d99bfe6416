#!/usr/bin/env bash
# The first process of boot-lib.sh's boot(), in namespaces of its own: makes what a container has, and becomes systemd.
#   init.sh ROOT DIR
set -euo pipefail
root=$1 dir=$2 m=$2/mount

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$root,upperdir=$dir/changes,workdir=$dir/work" "$m"
mount -t proc -o nosuid,nodev,noexec proc "$m/proc"
# What is not of this namespace alone stays as it is.
mount --bind "$m/proc/sys" "$m/proc/sys"
mount -o remount,bind,ro "$m/proc/sys"
# As in a container, so that systemd leaves devices alone.
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$m/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$m/sys/fs/cgroup"
mount -t tmpfs -o nosuid,mode=0755 tmpfs "$m/dev"
for device in null zero full random urandom tty; do
  mknod -m 666 "$m/dev/$device" c "$((0x$(stat -c %t /dev/$device)))" "$((0x$(stat -c %T /dev/$device)))"
done
mkdir "$m/dev/pts" "$m/dev/shm"
mount -t devpts -o nosuid,noexec,newinstance,ptmxmode=0666,mode=620 devpts "$m/dev/pts"
mount -t tmpfs -o nosuid,nodev tmpfs "$m/dev/shm"
ln -s pts/ptmx "$m/dev/ptmx"
for link in fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do ln -s "${link#*:}" "$m/dev/${link%%:*}"; done
mount -t tmpfs -o nosuid,nodev,mode=0755 tmpfs "$m/run"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$m/tmp"
echo door >"$m/etc/hostname"
printf '127.0.0.1 localhost door\n' >"$m/etc/hosts"

cd "$m"
mkdir -p old
pivot_root . old
umount -l /old
rmdir /old
mount --make-rshared /
exec env -i container=faced PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio /lib/systemd/systemd
