#!/usr/bin/env bash
# Sets up a Jetson's host for faced: full clocks, the recogniser on the GPU, the ribbon camera. It can be run again.
#   sudo host.sh [--dry-run] [--no-clocks] [--no-csi] [--faced-uid N]
# --faced-uid: the number of the user faced where it runs, when that is a container or chroot (there: id -u faced).
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
root=$(dirname "$(dirname "$here")")

dry=no clocks=yes csi=yes uid=
while [ "$#" -gt 0 ]; do
  case $1 in
    --dry-run) dry=yes ;;
    --no-clocks) clocks=no ;;
    --no-csi) csi=no ;;
    --faced-uid) uid=${2:?}; shift ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
case $uid in *[!0-9]*) echo "host.sh: --faced-uid takes a number" >&2; exit 2 ;; esac

run() {
  echo "+ $*"
  [ "$dry" = yes ] || "$@"
}

[ "$dry" = yes ] || [ "$(id -u)" -eq 0 ] || { echo "host.sh: run it with sudo" >&2; exit 1; }
[ "$dry" = yes ] || grep -qsi -e nvidia -e jetson /proc/device-tree/model ||
  { echo "host.sh: this is no Jetson" >&2; exit 1; }

run install -D -m 0644 "$root/systemd/faced.sysusers" /usr/lib/sysusers.d/faced.conf
run install -D -m 0644 "$root/systemd/faced.tmpfiles" /usr/lib/tmpfiles.d/faced.conf
run systemd-sysusers faced.conf
run systemd-tmpfiles --create faced.conf

run make -C "$root/native/tensorrt"
run make -C "$root/native/tensorrt" install
run install -m 0644 "$root/systemd/faced-tensorrt.service" /etc/systemd/system/
if [ -n "$uid" ]; then
  run mkdir -p /etc/systemd/system/faced-tensorrt.service.d
  run sh -c "printf '[Service]\nEnvironment=FACED_USER=$uid\n' >/etc/systemd/system/faced-tensorrt.service.d/user.conf"
fi
units=(faced-tensorrt)
if [ "$clocks" = yes ]; then
  run install -m 0644 "$root/systemd/faced-clocks.service" /etc/systemd/system/
  units=(faced-clocks "${units[@]}")
fi
if [ "$csi" = yes ]; then
  run install -D -m 0755 "$here/csi.sh" /usr/local/lib/faced/csi.sh
  run install -m 0644 "$root/systemd/faced-csi.service" /etc/systemd/system/
  units+=(faced-csi)
fi
run systemctl daemon-reload
run systemctl enable --now "${units[@]}"
echo "Next: sudo $here/engine.sh MODEL.onnx, then systemctl start faced-tensorrt"
