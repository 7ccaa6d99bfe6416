# shellcheck shell=bash
# For building and trying another Debian than this machine's: another architecture, another release. Sourced after lib.sh,
# in the root of the checkout. Nothing of the machine's own package state is touched.

# Node's runtime in packages: supported until April 2028; faced itself runs on 20, 22 and 24.
NODE_RUNTIME=24.21.0

CROSS_DIR=${FACED_CROSS_DIR:-$PWD/build/cross}

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
  mkdir -p "$dir"/state/lists/partial "$dir"/cache/archives/partial "$dir"/etc/none.d
  [ -f "$dir/state/status" ] || : >"$dir/state/status"
  cat >"$dir/etc/sources.list" <<SOURCES
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${FACED_DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main
SOURCES
  apt-get -q -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::State="$dir/state" \
    -o Dir::State::status="$dir/state/status" -o Dir::Cache="$dir/cache" -o Dir::Etc::sourcelist="$dir/etc/sources.list" \
    -o Dir::Etc::sourceparts="$dir/etc/none.d" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# sysroot ARCH SUITE: makes $CROSS_DIR/ARCH-SUITE/root with headers and libraries, once.
sysroot() {
  local arch=$1 suite=$2 dir="$CROSS_DIR/$1-$2" key archive
  key="${SYSROOT_PACKAGES[*]} $(libstdcxx_of "$suite") ${SYSROOT_EXTRA:-}"
  if stamped "$dir/.stamp" "$key"; then
    skip "files of Debian $suite for $arch"
    return
  fi
  step "Files of Debian $suite for $arch"
  rm -rf "$dir/root"
  mkdir -p "$dir/root"
  foreign_apt "$arch" "$suite" "$dir" update
  # shellcheck disable=SC2086 # SYSROOT_EXTRA is a list
  foreign_apt "$arch" "$suite" "$dir" install -y --download-only --no-install-recommends \
    "${SYSROOT_PACKAGES[@]}" "$(libstdcxx_of "$suite")" ${SYSROOT_EXTRA:-} >"$dir/apt.log" || die "apt failed: see $dir/apt.log"
  # /lib and /bin are parts of /usr in both releases; some packages still bring the old paths.
  mkdir -p "$dir"/root/usr/{bin,lib,lib64,sbin}
  for archive in bin lib lib64 sbin; do ln -s "usr/$archive" "$dir/root/$archive"; done
  for archive in "$dir"/cache/archives/*.deb; do dpkg-deb --fsys-tarfile "$archive" | tar -x -C "$dir/root" --keep-directory-symlink; done
  rm -f "$dir"/cache/archives/*.deb
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
