# shellcheck shell=bash
# For building and trying another Debian than this machine's: another architecture, another release. Sourced after lib.sh,
# in the root of the checkout. Nothing of the machine's own package state is touched.

# Node's runtime in packages: supported until April 2028; faced itself runs on 20, 22 and 24.
NODE_RUNTIME=24.21.0

CROSS_DIR=${FACED_CROSS_DIR:-$PWD/build/cross}
# It is for these scripts; faced takes what begins with its name for a setting.
export -n FACED_CROSS_DIR
DEBIAN_MIRROR=${FACED_DEBIAN_MIRROR:-http://deb.debian.org/debian}
# Packages of Debian that were fetched once, for every checkout; what has another version has another name.
ARCHIVES=${XDG_CACHE_HOME:-$HOME/.cache}/faced-debian

# What is needed to compile and run, beside what it depends on.
SYSROOT_PACKAGES=(libc6-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev)

triplet_of() { case $1 in amd64) echo x86_64-linux-gnu ;; arm64) echo aarch64-linux-gnu ;; esac; }
node_arch_of() { case $1 in amd64) echo x64 ;; arm64) echo arm64 ;; esac; }
# libstdc++'s headers of the release's own compiler.
libstdcxx_of() { case $1 in bookworm) echo libstdc++-12-dev ;; trixie) echo libstdc++-14-dev ;; esac; }

known() {
  case $1 in amd64 | arm64) ;; *) die "the architecture is amd64 or arm64 (is $1)" ;; esac
  case $2 in bookworm | trixie) ;; *) die "the release is bookworm or trixie (is $2)" ;; esac
}

# apt for ARCH and SUITE with a state of its own in DIR.
foreign_apt() {
  local arch=$1 suite=$2 dir=$3
  shift 3
  mkdir -p "$dir"/state/lists/partial "$dir"/cache "$dir"/etc/none.d "$dir"/none/partial "$ARCHIVES/partial"
  [ -f "$dir/state/status" ] || : >"$dir/state/status"
  {
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $DEBIAN_MIRROR $suite main"
    [ -z "${APT_SECURITY:-}" ] ||
      echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR%/debian}/debian-security $suite-security main"
  } >"$dir/etc/sources.list"
  apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::State="$dir/state" \
    -o Dir::State::status="$dir/state/status" -o Dir::Cache="$dir/cache" -o Dir::Cache::archives="$ARCHIVES" \
    -o Dir::Etc::sourcelist="$dir/etc/sources.list" -o Dir::Etc::sourceparts="$dir/etc/none.d" -o APT::Sandbox::User=root \
    -o Acquire::Languages=none "$@"
}

# fetch_packages ARCH SUITE DIR PACKAGE...: fetches them with all that they need, and writes where they lie into DIR/files.
fetch_packages() {
  local arch=$1 suite=$2 dir=$3
  local install=(install -y --no-install-recommends "${@:4}")
  mkdir -p "$ARCHIVES"
  (
    # One at a time: all share the folder.
    flock 9
    foreign_apt "$arch" "$suite" "$dir" update
    foreign_apt "$arch" "$suite" "$dir" "${install[@]}" --download-only
  ) 9>"$ARCHIVES/.lock" >"$dir.apt.log" 2>&1 || die "apt failed: see $dir.apt.log"
  # With an empty folder of archives every one of them is named.
  foreign_apt "$arch" "$suite" "$dir" -o Dir::Cache::archives="$dir/none" "${install[@]}" --print-uris |
    sed -n "s|^'[^']*' \([^ ]*\) .*|$ARCHIVES/\1|p" | LC_ALL=C sort >"$dir/files"
}

# unpack_packages FILES ROOT: what the packages named in FILES hold, without their scripts.
unpack_packages() {
  local archive
  # /lib and /bin are parts of /usr in both releases; some packages still bring the old paths.
  mkdir -p "$2"/usr/{bin,lib,lib64,sbin}
  for archive in bin lib lib64 sbin; do ln -s "usr/$archive" "$2/$archive"; done
  while read -r archive; do
    dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$2" --keep-directory-symlink
  done <"$1"
}

# sysroot ARCH SUITE: makes $CROSS_DIR/ARCH-SUITE/root with headers and libraries, once.
sysroot() {
  local arch=$1 suite=$2 dir="$CROSS_DIR/$1-$2" key archive
  key="${SYSROOT_PACKAGES[*]} $(libstdcxx_of "$suite")"
  if stamped "$dir/.stamp" "$key"; then
    skip "files of Debian $suite for $arch"
    return
  fi
  step "Files of Debian $suite for $arch"
  rm -rf "$dir/root"
  mkdir -p "$dir/root"
  fetch_packages "$arch" "$suite" "$dir/apt" "${SYSROOT_PACKAGES[@]}" "$(libstdcxx_of "$suite")"
  unpack_packages "$dir/apt/files" "$dir/root"
  echo "$key" >"$dir/.stamp"
}

# node_runtime ARCH: Node's program and its headers in $CROSS_DIR/node-ARCH, from npm.
node_runtime() {
  local name dir="$CROSS_DIR/node-$1"
  name="node-linux-$(node_arch_of "$1")@$NODE_RUNTIME"
  if stamped "$dir/.stamp" "$name"; then
    skip "$name"
    return
  fi
  step "$name"
  rm -rf "$dir"
  mkdir -p "$dir"
  (cd "$dir" && npm pack --silent "$name" >/dev/null && tar -xzf ./*.tgz --strip-components=1 && rm ./*.tgz)
  echo "$name" >"$dir/.stamp"
}

# compilers ARCH SUITE: sets CC, CXX, AR, STRIP and the flags for that Debian.
compilers() {
  local prefix="" root="$CROSS_DIR/$1-$2/root" lib
  lib="$root/usr/lib/$(triplet_of "$1")"
  [ "$1" = "$(dpkg --print-architecture)" ] || prefix="$(triplet_of "$1")-"
  command -v "${prefix}g++" >/dev/null || die "install g++-${prefix%-} to build for $1"
  # Paths of this machine do not belong into what is built, so that two builds are the same.
  local flags="--sysroot=$root -O2 -ffile-prefix-map=$CROSS_DIR=. -ffile-prefix-map=$PWD=. -g0"
  export CC="${prefix}gcc" CXX="${prefix}g++" AR="${prefix}ar" LINK="${prefix}g++" STRIP="${prefix}strip"
  export CFLAGS="$flags" CXXFLAGS="$flags"
  # A newer release's libraries need a newer libstdc++ than our compiler's; it is there when they run.
  export LDFLAGS="--sysroot=$root -L$lib -Wl,--build-id=none,--allow-shlib-undefined,-rpath-link,$lib:$lib/blas:$lib/lapack"
}

# native_parts ARCH SUITE: the addon, the lock's holder and better-sqlite3 in $CROSS_DIR/ARCH-SUITE/native.
native_parts() (
  arch=$1 suite=$2 dir="$CROSS_DIR/$1-$2" out="$CROSS_DIR/$1-$2/native"
  key="$(hash_of native deploy/cross-lib.sh) $NODE_RUNTIME $(hash_of node_modules/better-sqlite3/package.json)"
  if stamped "$dir/.native-stamp" "$key"; then
    skip "native parts for $arch, $suite"
    return
  fi
  sysroot "$arch" "$suite"
  node_runtime "$arch"
  compilers "$arch" "$suite"
  step "Native parts for $arch, $suite"
  node_arch=$(node_arch_of "$arch")
  gyp=("$PWD/node_modules/.bin/node-gyp" rebuild --arch="$node_arch" --nodedir="$CROSS_DIR/node-$arch" --jobs=max)
  rm -rf "$dir/tree" "$out"
  mkdir -p "$dir/tree" "$out"
  cp -a native "$dir/tree/"
  rm -rf "$dir"/tree/native/*/build
  ln -s "$PWD/node_modules" "$dir/tree/node_modules"
  make --silent -C "$dir/tree/native/lock" CC="$CC" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS" build/faced-lock
  cp "$dir/tree/native/lock/build/faced-lock" "$out/"
  FACED_OPENCV_INCLUDE="$dir/root/usr/include/opencv4" "${gyp[@]}" --directory "$dir/tree/native/opencv" >"$dir/addon.log" 2>&1 ||
    die "the addon does not build for $arch, $suite: see $dir/addon.log"
  cp "$dir/tree/native/opencv/build/Release/faced_opencv.node" "$out/"
  sh native/opencv/stand-ins.sh "$out/stand-ins"
  sqlite_for "$arch"
  cp "$CROSS_DIR/sqlite-$arch/better_sqlite3.node" "$out/"
  find "$out" -type f -exec "$STRIP" --strip-unneeded {} +
  echo "$key" >"$dir/.native-stamp"
)

# better-sqlite3 needs nothing of a release but libc: what bookworm's takes, trixie's takes too. A minute and a half.
sqlite_for() (
  arch=$1 dir="$CROSS_DIR/sqlite-$1"
  key="$(hash_of node_modules/better-sqlite3/package.json native/better-sqlite3) $NODE_RUNTIME"
  stamped "$dir/.stamp" "$key" && return
  sysroot "$arch" bookworm
  compilers "$arch" bookworm
  step "better-sqlite3 for $arch"
  rm -rf "$dir"
  mkdir -p "$dir"
  CXXFLAGS+=" -include $PWD/native/better-sqlite3/object-wrap.h"
  cp -a node_modules/better-sqlite3 "$dir/source"
  rm -rf "$dir/source/build"
  "$PWD/node_modules/.bin/node-gyp" rebuild --arch="$(node_arch_of "$arch")" --nodedir="$CROSS_DIR/node-$arch" --jobs=max \
    --directory "$dir/source" >"$dir/build.log" 2>&1 || die "better-sqlite3 does not build for $arch: see $dir/build.log"
  cp "$dir/source/build/Release/better_sqlite3.node" "$dir/"
  rm -rf "$dir/source"
  echo "$key" >"$dir/.stamp"
)
