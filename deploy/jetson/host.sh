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

# What is built here needs TensorRT 8.2 or later (JetPack 4.6.1, L4T 32.7) with its headers, and CUDA's.
missing() {
  echo "host.sh: $1" >&2
  [ "$dry" = yes ] || exit 1
}
read -r major minor < <(sed -n 's/^# R\([0-9]*\) (release), REVISION: \([0-9]*\).*/\1 \2/p' /etc/nv_tegra_release 2>/dev/null) ||
  major=0 minor=0
[ "$major" -eq 0 ] || [ $((major * 1000 + minor)) -ge 32007 ] ||
  missing "L4T $major.$minor is too old: install JetPack 4.6.1 or later"
[ -f "/usr/include/$(uname -m)-linux-gnu/NvInfer.h" ] || [ -f /usr/include/NvInfer.h ] ||
  missing "TensorRT's headers are not installed: apt install nvidia-jetpack"
[ -f /usr/local/cuda/include/cuda_runtime_api.h ] ||
  missing "CUDA's headers are not in /usr/local/cuda/include: apt install nvidia-jetpack"

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
