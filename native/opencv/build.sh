#!/bin/sh
# Builds the OpenCV addon: native/opencv/build/Release/faced_opencv.node.
#
#   FACED_OPENCV_INCLUDE  folder of the OpenCV headers          (/usr/include/opencv4)
#   FACED_SYSROOT         root of another architecture's files; sets the include folder and the linker's paths
#   FACED_ARCH            node's name of that architecture      (arm64)
#   CC, CXX, AR, LINK     the cross compiler, where FACED_SYSROOT is set
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

# Node's own headers, where its installation has them, save a download.
prefix=$(node -p 'require("path").resolve(process.execPath, "../..")')
nodedir=
[ -f "$prefix/include/node/node_api.h" ] && nodedir="--nodedir=$prefix"

if [ -n "${FACED_SYSROOT:-}" ]; then
  triplet=$("${CXX:?the cross compiler}" -dumpmachine)
  lib="$FACED_SYSROOT/usr/lib/$triplet"
  export FACED_OPENCV_INCLUDE="${FACED_OPENCV_INCLUDE:-$FACED_SYSROOT/usr/include/opencv4}"
  export CFLAGS="${CFLAGS:-} --sysroot=$FACED_SYSROOT"
  export CXXFLAGS="${CXXFLAGS:-} --sysroot=$FACED_SYSROOT"
  export LDFLAGS="${LDFLAGS:-} --sysroot=$FACED_SYSROOT -L$lib -Wl,-rpath-link,$lib:$lib/blas:$lib/lapack"
fi

cd "$root"
# shellcheck disable=SC2086 # an empty nodedir is no argument
npx --no-install node-gyp rebuild --directory native/opencv $nodedir ${FACED_ARCH:+--arch="$FACED_ARCH"} "$@"

release=native/opencv/build/Release
sh native/opencv/stand-ins.sh "$release/stand-ins"
# Another OpenCV may call more of the real libraries than could be stood in for; then it has them.
if [ -z "${FACED_SYSROOT:-}" ] && ! node -e "require('./$release/faced_opencv.node')" 2>/dev/null; then
  echo "the addon does not load with stand-ins for GDAL and GDCM; the libraries themselves are taken"
  rm -rf "$release/stand-ins"
fi
