#!/usr/bin/env bash
# Makes the engine on the Jetson's host, where Node.js may not run; `faced model engine` does the same where it does.
#   sudo engine.sh [--dry-run] MODEL.onnx      the stock model, or the one of `faced model half` with its note beside it
# Writes /var/lib/faced-tensorrt/recogniser.engine and its note; FACED_ENGINE_DIR and TRTEXEC change the places.
set -euo pipefail

dry=no
[ "${1:-}" = --dry-run ] && { dry=yes; shift; }
model=${1:-}
case $#$model in 1-* | 1 | [!1]*) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
engine=${FACED_ENGINE_DIR:-/var/lib/faced-tensorrt}/recogniser.engine
trtexec=${TRTEXEC:-}
places=(/usr/src/tensorrt/bin /usr/local/tensorrt/bin /opt/tensorrt/bin)
for candidate in "$(command -v trtexec || true)" "${places[@]/%//trtexec}"; do
  [ -n "$trtexec" ] || [ ! -x "$candidate" ] || trtexec=$candidate
done
# A dry run says what would be run on the board.
[ -n "$trtexec" ] || [ "$dry" = no ] || trtexec=${places[0]}/trtexec
[ -n "$trtexec" ] || { echo "engine.sh: trtexec is not installed (apt install libnvinfer-bin)" >&2; exit 1; }
[ -f "$model" ] || { echo "engine.sh: there is no file $model" >&2; exit 1; }
# The names of operators stand in an ONNX file as they are.
if grep -qaE 'QuantizeLinear|QLinear|ConvInteger|MatMulInteger|QGemm' "$model"; then
  echo "engine.sh: $model is quantised; an engine is made from the stock or half model" >&2
  exit 1
fi

command=("$trtexec" "--onnx=$model" --fp16 "--saveEngine=$engine.tmp")
echo "${command[*]}"
[ "$dry" = no ] || exit 0
[ "$(id -u)" -eq 0 ] || { echo "engine.sh: run it with sudo: the engine must belong to root" >&2; exit 1; }
install -d -m 0755 "$(dirname "$engine")"
log=$(mktemp)
trap 'rm -f "$log" "$engine.tmp"' EXIT
"${command[@]}" >"$log" 2>&1 || { tail -20 "$log" >&2; echo "engine.sh: trtexec failed" >&2; exit 1; }
number=$(sed -n 's/.*\[TensorRT v\([0-9]*\)\].*/\1/p' "$log" | head -1)
[ -n "$number" ] || { echo "engine.sh: trtexec does not say which TensorRT it belongs to" >&2; exit 1; }
unit=1000
[ "$number" -lt 100000 ] || unit=10000
[ "$number" -ge 8000 ] || { echo "engine.sh: TensorRT is too old ($number): install JetPack 4.6.1 or later" >&2; exit 1; }
[ -s "$engine.tmp" ] || { echo "engine.sh: trtexec ended well and wrote no engine: is the disk full?" >&2; exit 1; }
version=$((number / unit)).$((number % unit / 100)).$((number % 100))
board=$(tr -d '\0' 2>/dev/null </proc/device-tree/model || sed -n 's/.*Selected Device: //p' "$log" | head -1)
[ -n "$board" ] || { echo "engine.sh: neither the device tree nor trtexec names this board" >&2; exit 1; }
hash() { sha256sum "$1" | cut -d' ' -f1; }
# A half model's note says from which stock file it was made.
stock=$(sed -n 's/.*"derivedFrom": *"\([0-9a-f]*\)".*/\1/p' "${model%.onnx}.json" 2>/dev/null | head -1 || true)
rm -f "$engine.json"
mv "$engine.tmp" "$engine"
chmod 644 "$engine"
cat >"$engine.json" <<NOTE
{
  "file": "recogniser.engine",
  "sha256": "$(hash "$engine")",
  "bytes": $(stat -c %s "$engine"),
  "model": "$(hash "$model")",
  "derivedFrom": "${stock:-$(hash "$model")}",
  "precision": "fp16",
  "tensorrt": "$version",
  "board": "$board"
}
NOTE
chmod 644 "$engine.json"
echo "$engine: TensorRT $version, $board. Now: systemctl restart faced-tensorrt"
