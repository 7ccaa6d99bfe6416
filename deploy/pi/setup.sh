#!/usr/bin/env bash
# Sets up a Raspberry Pi (Raspberry Pi OS, 64-bit) from a package of faced. It can be run again.
#   sudo setup.sh [--dry-run] [--ribbon-camera] faced_VERSION_arm64.deb
set -euo pipefail

dry=no ribbon=no package=
for argument in "$@"; do
  case $argument in
    --dry-run) dry=yes ;;
    --ribbon-camera) ribbon=yes ;;
    -*) sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) package=$argument ;;
  esac
done
[ -n "$package" ] || { sed -n '2,3s/^# \{0,1\}//p' "$0" >&2; exit 2; }

run() {
  echo "+ $*"
  [ "$dry" = yes ] || "$@"
}

[ -f "$package" ] || [ "$dry" = yes ] || { echo "setup.sh: there is no file $package" >&2; exit 1; }
[ "$dry" = yes ] || [ "$(id -u)" -eq 0 ] || { echo "setup.sh: run it with sudo" >&2; exit 1; }
[ "$dry" = yes ] || [ "$(dpkg --print-architecture)" = arm64 ] ||
  { echo "setup.sh: a 64-bit system is needed (dpkg says $(dpkg --print-architecture))" >&2; exit 1; }

run apt-get update
[ "$ribbon" = no ] || run apt-get install -y --no-install-recommends gstreamer1.0-libcamera
run apt-get install -y --no-install-recommends "$(readlink -m "$package")"
run faced doctor
echo "The configuration is /etc/faced/faced.yaml; what faced says: journalctl -u faced"
