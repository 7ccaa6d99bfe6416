#!/usr/bin/env bash
# Sends the pictures of a Jetson's ribbon camera through shared memory, from the host to wherever on the board faced runs.
#   csi.sh [--socket PATH] [--sensor N] [--width W] [--height H] [--fps F]    runs until it is ended
#   csi.sh --source …    prints the source for faced.yaml instead
#   csi.sh --test …      a test picture in place of the camera (any machine with GStreamer)
#   csi.sh --dry-run …   says what it would run
set -euo pipefail

socket='' sensor=0 width=1280 height=720 fps=15 mode=camera dry=no
while [ "$#" -gt 0 ]; do
  case $1 in
    --socket) socket=${2:?}; shift ;;
    --sensor) sensor=${2:?}; shift ;;
    --width) width=${2:?}; shift ;;
    --height) height=${2:?}; shift ;;
    --fps) fps=${2:?}; shift ;;
    --source | --test) mode=${1#--} ;;
    --dry-run) dry=yes ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
  shift
done
for number in "$sensor" "$width" "$height" "$fps"; do
  case $number in '' | *[!0-9]*) echo "csi.sh: $number is not a number" >&2; exit 2 ;; esac
done

# Nothing in shared memory says how large its pictures are, so the name does: a reader that expects others finds nobody.
[ -n "$socket" ] || socket=/run/faced-csi/${width}x$height.sock
caps="video/x-raw,format=I420,width=$width,height=$height,framerate=$fps/1"
case $mode in
  source) echo "gstreamer:shmsrc socket-path=$socket is-live=true do-timestamp=true ! $caps"; exit ;;
  test) source=(videotestsrc is-live=true pattern=ball ! "$caps") ;;
  camera)
    source=(nvarguscamerasrc "sensor-id=$sensor" !
      "video/x-raw(memory:NVMM),format=NV12,width=$width,height=$height,framerate=$fps/1" ! nvvidconv ! "$caps")
    ;;
esac
# Room for eight pictures; 432 is 0660.
command=(gst-launch-1.0 -q "${source[@]}" ! shmsink "socket-path=$socket" perms=432 wait-for-connection=false
  sync=false "shm-size=$((width * height * 12))")
[ "$dry" = no ] || { echo "${command[*]}"; exit; }
# What a sender that was killed left behind: shmsink would take another name, which nobody reads.
rm -f "$socket"
exec "${command[@]}"
