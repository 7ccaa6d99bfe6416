#!/bin/sh
# stand-ins.sh FOLDER: libraries that hold nothing, in place of GDAL (maps) and GDCM (medical pictures).
#
# Debian's libopencv_imgcodecs is linked with both, and they bring sixty more: 27 MB and a tenth of a second in every
# process, and the decoders of a hundred formats that no picture here may have (src/image/header.ts lets none of them
# through). The addon looks into this folder first (its rpath in binding.gyp): what imgcodecs would call there answers 0,
# which means "cannot be read". Without the folder, or with an OpenCV that wants other libraries by name, the real ones are
# loaded as ever.
#
#   CC, CXX, LDFLAGS  the compiler, and where it finds OpenCV
set -eu
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out"
mkdir -p "$out"

# Which file the linker takes.
# shellcheck disable=SC2086 # flags are words
codecs=$("${CXX:-c++}" ${LDFLAGS:-} -shared -o "$work/probe" -lopencv_imgcodecs -Wl,--trace | grep -m 1 '/libopencv_imgcodecs\.so') || {
  echo "OpenCV is no shared library here: nothing is stood in for"
  exit 0
}

readelf --dyn-syms --wide "$codecs" | awk '$7 == "UND" { print $8 }' | sort -u >"$work/called"
readelf --dynamic --wide "$codecs" | sed -n 's/.*(NEEDED).*\[\(lib\(gdal\|gdcm\)[^]]*\)\]/\1/p' >"$work/libraries"
while read -r library; do
  # Only functions can be stood in for. A name with a version does not match, and then the addon would not load.
  readelf --dyn-syms --wide "$(dirname "$codecs")/$library" |
    awk '$4 == "FUNC" && $7 != "UND" && $8 ~ /GDAL|gdcm/ { print $8 }' | sort -u | comm -12 - "$work/called" |
    sed 's/.*/long f_& (void) __asm__ ("&"); long f_& (void) { return 0; }/' >"$work/source.c"
  # shellcheck disable=SC2086
  (cd "$work" && "${CC:-cc}" ${CFLAGS:-} ${LDFLAGS:-} -shared -fPIC -Os "-Wl,-soname,$library" -o library source.c)
  install -m 0644 "$work/library" "$out/$library"
done <"$work/libraries"
