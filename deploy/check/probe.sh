#!/bin/sh
# What a service may, looked at from inside it; check-systemd.sh runs this before faced, as its user, in its sandbox. A line
# for each: yes or no, and what. Those that begin with "may" should be yes.
try() {
  what=$1
  shift
  if "$@" >/dev/null 2>&1; then echo "yes $what"; else echo "no $what"; fi
}
out=$STATE_DIRECTORY/probe
{
  try "may write its state" touch "$STATE_DIRECTORY/x"
  try "may write its cache" touch "$CACHE_DIRECTORY/x"
  try "may read its configuration" cat /etc/faced/faced.yaml
  for folder in / /etc /etc/faced /usr /opt/faced /var /var/lib /srv /boot; do try "writes to $folder" touch "$folder/x"; done
  try "reads /home" cat /home/ada/diary
  try "reads /root" cat /root/diary
  try "reads another's file" cat /srv/diary
  try "reads the passwords" cat /etc/shadow
  try "sees the processes of others" test -e /proc/1/cmdline
  try "makes a namespace" unshare --user true
  try "mounts" mount -t tmpfs tmpfs /tmp
  try "changes the host's name" hostname elsewhere
  try "changes the kernel's settings" sh -c 'echo 1 >/proc/sys/vm/overcommit_memory'
  try "writes to control groups" mkdir /sys/fs/cgroup/x
  try "reads the kernel's log" dmesg
  try "leaves a file with the set-user-id bit" sh -c "cp /bin/true $STATE_DIRECTORY/y && chmod 4755 $STATE_DIRECTORY/y"
} >"$out"
rm -f "$STATE_DIRECTORY/x" "$STATE_DIRECTORY/y" "$CACHE_DIRECTORY/x"
echo "that is all" >>"$out"
