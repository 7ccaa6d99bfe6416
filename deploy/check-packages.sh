#!/usr/bin/env bash
# Everything about packages and images that is too long for every change: by hand, and before a release. As root.
#   check-packages.sh [PART]... [--of ARCH/RELEASE]...     default: all parts, for {amd64,arm64}/{bookworm,trixie}
#     build      makes the packages: at most 70 MB each
#     identical  makes them again from a clone in another folder: bit for bit the same; the tree must be committed
#     content    what they hold: no paths of this machine, nothing but root may write; lintian
#     install    amd64: installed in a clean Debian, used, upgraded, downgraded, removed, purged
#     arm64      check-arm64.sh: the arm64 package of bookworm under qemu
#     image      OCI images from the packages, unpacked and run; made twice, they are the same
#     systemd    check-systemd.sh: the installed package under a booted systemd
# Needs a checkout that is set up with --test, and what deploy/packages/cross.txt names. What was fetched from Debian is kept
# in ${XDG_CACHE_HOME:-~/.cache}/faced-debian, what was unpacked of it in build/cross.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh
# shellcheck source-path=SCRIPTDIR source=cross-lib.sh
. deploy/cross-lib.sh
# shellcheck disable=SC1091 # it is checked by itself
. deploy/check/pi4-files.sh

PARTS=(build identical content install arm64 image systemd)
parts=() targets=()
while [ "$#" -gt 0 ]; do
  case $1 in
    --of) known "${2%/*}" "${2#*/}"; targets+=("$2"); shift ;;
    *) [[ " ${PARTS[*]} " == *" $1 "* ]] || die "check-packages.sh takes ${PARTS[*]} and --of ARCH/RELEASE, not $1"; parts+=("$1") ;;
  esac
  shift
done
[ "${#parts[@]}" -gt 0 ] || parts=("${PARTS[@]}")
[ "${#targets[@]}" -gt 0 ] || targets=(amd64/bookworm amd64/trixie arm64/bookworm arm64/trixie)
[ "$(id -u)" -eq 0 ] || die "this mounts and changes root: run it with sudo"

version=$(node -p 'require("./package.json").version')
out=$PWD/build/packages
dir=$CROSS_DIR/check-packages
mkdir -p "$dir" "$out"
this_arch=$(dpkg --print-architecture)
file_of() { echo "$out/faced_$version+${1#*/}_${1%/*}.deb"; }
# of TARGET WHAT: a line for the table at the end, kept from run to run as long as the package is the same.
of() { echo "$(sha256sum "$(file_of "$1")" | cut -d' ' -f1) $2" >>"$dir/results"; }
touch "$dir/results"

build() {
  local target
  FACED_CROSS_DIR=$CROSS_DIR bash deploy/package.sh --out "$out" "${targets[@]}"
  for target in "${targets[@]}"; do of "$target" build; done
}

identical() {
  local target clone="$dir/clone-in-another-folder/faced"
  [ -z "$(git status --porcelain)" ] || die "commit first: a clone has only what is committed"
  step "The same from another folder"
  rm -rf "$clone"
  git clone --quiet . "$clone"
  (
    cd "$clone"
    ONNXRUNTIME_NODE_INSTALL=skip npm ci --ignore-scripts --prefer-offline --no-fund --no-audit
    FACED_CROSS_DIR='' bash deploy/package.sh "${targets[@]}"
  )
  for target in "${targets[@]}"; do
    cmp "$(file_of "$target")" "$clone/build/packages/$(basename "$(file_of "$target")")"
    of "$target" identical
  done
  rm -rf "$clone"
}

content() {
  local target tree="$dir/content" found
  for target in "${targets[@]}"; do
    step "What is in the package for $target"
    rm -rf "$tree"
    dpkg-deb --raw-extract "$(file_of "$target")" "$tree"
    found=$(grep -rlF -e "$PWD" -e "$CROSS_DIR" "$tree" || true)
    [ -z "$found" ] || die "paths of this machine are in $found"
    found=$(dpkg-deb --contents "$(file_of "$target")" | grep -vE '^(d|-)rwxr-xr-x root/root |^-rw-r--r-- root/root |^lrwxrwxrwx root/root ' || true)
    [ -z "$found" ] || die "these are not as files of root are: $found"
    if command -v lintian >/dev/null; then
      lintian --fail-on error --suppress-tags "$LINTIAN_KNOWN" "$(file_of "$target")"
    else
      echo "lintian is not installed: left out"
    fi
    of "$target" content
  done
  rm -rf "$tree"
}
# What Debian asks of packages in its archive; and the libraries in Node.js and ONNX Runtime, which are as their makers ship
# them.
LINTIAN_KNOWN="dir-or-file-in-opt,bogus-mail-host,bogus-mail-host-in-debian-changelog,embedded-library,unstripped-binary-or-object,hardening-no-pie"

# clean_debian SUITE ROOT: a Debian as its installer leaves it at the least, in which nothing is started.
clean_debian() {
  local suite=$1 root=$2 base="$CROSS_DIR/debian-$1.tar"
  rm -rf "$root"
  mkdir -p "$root"
  if [ ! -f "$base" ]; then
    step "A clean Debian $suite"
    mkdir -p "$ARCHIVES"
    debootstrap --variant=minbase --cache-dir="$ARCHIVES" "$suite" "$root" "$DEBIAN_MIRROR" >"$dir/debootstrap.log" 2>&1 ||
      die "debootstrap failed: see $dir/debootstrap.log"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    tar -C "$root" -cf "$base.part" .
    mv "$base.part" "$base"
  else
    tar -C "$root" -xf "$base"
  fi
  cp -L /etc/resolv.conf "$root/etc/"
}

# inside ARCH ROOT COMMAND...: runs it there, with processes and mounts of its own, which end with it; with AS=USER:GROUP as
# that user, with NET=PID in the network of that process. A program for another processor runs by qemu, known to the
# kernel in a user namespace of its own alone.
inside() {
  local arch=$1 root=$2 go="$dir/go" pid user=() net=()
  shift 2
  [ "$arch" = "$this_arch" ] || { user=(--user); pi4_files "$dir/pi4"; }
  [ -z "${NET:-}" ] || net=(nsenter "--net=/proc/$NET/ns/net")
  rm -f "$go"
  mkfifo "$go"
  # shellcheck disable=SC2016 # for the other shell
  "${net[@]}" unshare "${user[@]}" --mount --pid --fork --kill-child bash -euc '
    arch=$1 root=$2 archives=$3 pi4=$4 go=$5
    shift 5
    read -r _ <"$go"
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev"
    mkdir "$root/dev/shm"
    for device in null zero random urandom; do
      : >"$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    done
    [ ! -d "$root/var/cache/apt/archives" ] || mount --bind "$archives" "$root/var/cache/apt/archives"
    if [ "$arch" = arm64 ] && [ "$(uname -m)" != aarch64 ]; then
      mount --bind "$pi4/proc/cpuinfo" "$root/proc/cpuinfo"
      mount --bind "$pi4/sys" "$root/sys"
      export QEMU_CPU=cortex-a72
      mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
      printf "%s" ":aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$(command -v qemu-aarch64-static):F" >/proc/sys/fs/binfmt_misc/register
    else
      mount --bind /sys "$root/sys"
    fi
    exec chroot ${AS:+--userspec="$AS"} "$root" "$@"' _ "$arch" "$root" "$ARCHIVES" "$dir/pi4" "$go" "$@" <&0 &
  pid=$!
  if [ "$arch" != "$this_arch" ]; then
    until [ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
    echo "0 0 65536" >"/proc/$pid/uid_map"
    echo "0 0 65536" >"/proc/$pid/gid_map"
  fi
  echo >"$go"
  wait "$pid"
}

# Pictures, models and answers that the checks share.
material() {
  [ -f "$dir/material/crops.json" ] && return
  step "Pictures"
  bin/faced model fetch --demo >/dev/null
  mkdir -p "$dir/material"
  node deploy/check/prepare.mjs "$dir/material"
}
models_dir() { bin/faced model list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).dir'; }

# bring ROOT: what the checks use, in ROOT/check.
bring() {
  local models
  models=$(models_dir)
  mkdir -p "$1/check/models"
  cp -r "$dir/material" "$models/demo" "$1/check/"
  cp "$models"/{ultraface,landmarks68,minifasnet,mobilefacenet}.onnx "$1/check/models/"
  # Where this machine reaches the network through a certificate of its own.
  [ -z "${NODE_EXTRA_CA_CERTS:-}" ] || cp "$NODE_EXTRA_CA_CERTS" "$1/check/ca.pem"
  chmod -R a+rX "$1/check"
}
certificates=(env ${NODE_EXTRA_CA_CERTS:+NODE_EXTRA_CA_CERTS=/check/ca.pem})

# newer PACKAGE FILE: the same package under a higher version, whose program adds a table to the database, as a later one may.
newer() {
  local code
  rm -rf "$dir/newer"
  dpkg-deb --raw-extract "$1" "$dir/newer"
  sed -i 's/^Version: /&9:/' "$dir/newer/DEBIAN/control"
  code=$(grep -rl 'MIGRATIONS=\[' "$dir/newer/opt/faced/dist/bundle") || die "no list of migrations is in the program"
  sed -i 's/MIGRATIONS=\[/&{id:599,additive:!0,sql:"CREATE TABLE later (x TEXT) STRICT"},/' "$code"
  dpkg-deb --root-owner-group -Zgzip -z1 --build "$dir/newer" "$2" >/dev/null
  rm -rf "$dir/newer"
}

install() {
  local target suite root="$dir/root"
  material
  for target in "${targets[@]}"; do
    [ "${target%/*}" = "$this_arch" ] || continue
    suite=${target#*/}
    clean_debian "$suite" "$root"
    step "The package in a clean Debian $suite"
    bring "$root"
    cp "$(file_of "$target")" "$root/check/old.deb"
    newer "$(file_of "$target")" "$root/check/new.deb"
    cp deploy/check/{installed.sh,statements.mjs} "$root/check/"
    (
      # One at a time: apt there uses the folder that all share.
      flock 9
      inside "$this_arch" "$root" "${certificates[@]}" bash /check/installed.sh /check/old.deb /check/new.deb
    ) 9>"$ARCHIVES/.lock"
    of "$target" install
    rm -rf "$root"
  done
}

arm64() {
  FACED_CROSS_DIR=$CROSS_DIR bash deploy/check-arm64.sh
  # It makes the package itself.
  cmp "$(file_of arm64/bookworm)" "$CROSS_DIR"/check-arm64/out/*.deb
  of arm64/bookworm arm64
}

image() {
  local target suite file
  material
  for target in "${targets[@]}"; do
    suite=${target#*/} file=$(file_of "$target")
    file=${file%.deb}.oci.tar
    FACED_CROSS_DIR=$CROSS_DIR bash deploy/image.sh "$(file_of "$target")"
    sha256sum "$file" >"$dir/image.sha256"
    FACED_CROSS_DIR=$dir/again bash deploy/image.sh "$(file_of "$target")"
    rm -rf "$dir/again"
    sha256sum --check --quiet "$dir/image.sha256" || die "the image for $target is another one when it is made again"
    if command -v skopeo >/dev/null; then
      skopeo inspect "docker-archive:$file" >/dev/null
      skopeo inspect "oci-archive:$file" >/dev/null
    fi
    step "The image for $target, unpacked and run"
    rm -rf "$dir/bundle" "$dir/layout"
    mkdir -p "$dir/layout"
    tar -C "$dir/layout" -xf "$file"
    umoci unpack --image "$dir/layout:$version-$suite" "$dir/bundle"
    rm -rf "$dir/layout"
    run_image "${target%/*}" "$dir/bundle"
    [ "${target%/*}" != "$this_arch" ] || run_add_on "$dir/bundle"
    of "$target" image
    rm -rf "$dir/bundle"
  done
}

# run_image ARCH BUNDLE: what its configuration says is run as it says, on pictures. Leaves the image's variables in settings.
run_image() {
  local arch=$1 root="$2/rootfs" spec start id
  # shellcheck disable=SC2016 # JavaScript
  spec='const { process: spec } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));'
  # shellcheck disable=SC2016 # JavaScript
  [ "$(node -p "$spec"'`${spec.user.uid} ${spec.user.gid} ${spec.args.join(" ")}`' "$2/config.json")" = "871 871 /usr/local/bin/faced-container run" ] ||
    die "the image starts something else"
  mapfile -t settings < <(node -p "$spec"' spec.env.join("\n")' "$2/config.json")
  start=(env -i "${settings[@]}" FACED_MQTT_EMBEDDED_PORT=0 FACED_HTTP_PORT=0 /usr/local/bin/faced-container)
  bring "$root"
  for id in ultraface landmarks68 minifasnet mobilefacenet; do
    AS=871:871 inside "$arch" "$root" "${start[@]}" model fetch "$id" --from "/check/models/$id.onnx"
  done
  AS=871:871 inside "$arch" "$root" "${start[@]}" doctor || true
  AS=871:871 inside "$arch" "$root" "${start[@]}" enroll Ada /check/material/enroll
  AS=871:871 inside "$arch" "$root" "${start[@]}" run --once --json --source images:/check/material/pictures >"$dir/events.ndjson"
  [ "$(grep -o '"decision":"[a-z]*"' "$dir/events.ndjson" | sort | tr '\n' ' ')" = '"decision":"known" "decision":"unknown" ' ] ||
    die "other decisions than one known and one stranger: $(cat "$dir/events.ndjson")"
}

# run_add_on BUNDLE: the image as Home Assistant's supervisor starts it: as root, with its folders and its token.
run_add_on() {
  local root="$1/rootfs" supervisor="$dir/supervisor" pid
  step "The same as an add-on of Home Assistant"
  rm -rf "$supervisor"
  # shellcheck disable=SC2016 # for the other shell
  unshare --net bash -c 'ip link set lo up; exec node deploy/check/supervisor.mjs "$1"' _ "$supervisor" >"$dir/supervisor.log" 2>&1 &
  pid=$!
  # shellcheck disable=SC2064 # its number now
  trap "kill $pid 2>/dev/null || true" EXIT
  for _ in $(seq 100); do [ -e "$supervisor/ready" ] && break; sleep 0.1; done
  mkdir -p "$root/data" "$root/config" "$root/data/faced"
  cp -r "$root/check/models" "$root/data/faced/"
  echo '127.0.0.1 localhost supervisor' >"$root/etc/hosts"
  echo 'device: hall' >"$root/config/faced.yaml"
  NET=$pid inside "$this_arch" "$root" env -i "${settings[@]}" SUPERVISOR_TOKEN="token of an add-on" FACED_HTTP_PORT=0 \
    /usr/local/bin/faced-container run --once --json --source images:/check/material/pictures >/dev/null
  kill "$pid"
  wait "$pid" || true
  trap - EXIT
  [ "$(grep -c '"topic":"faced/hall/recognition"' "$supervisor/heard.ndjson")" -eq 2 ] || die "the broker of the supervisor heard no two events"
  [ -z "$(find "$root/data/faced" ! -user 871)" ] || die "what the add-on keeps is not all of faced's user"
}

systemd() {
  FACED_CROSS_DIR=$CROSS_DIR bash deploy/check-systemd.sh "$(file_of amd64/bookworm)"
  of amd64/bookworm systemd
}

table() {
  local target file sum
  step "What was checked of these packages"
  for target in "${targets[@]}"; do
    file=$(file_of "$target")
    [ -f "$file" ] || continue
    sum=$(sha256sum "$file" | cut -d' ' -f1)
    printf '%-34s %9s bytes  %s  %s\n' "$(basename "$file")" "$(stat -c %s "$file")" "$sum" \
      "$(sed -n "s/^$sum //p" "$dir/results" | LC_ALL=C sort -u | tr '\n' ' ')"
    file=${file%.deb}.oci.tar
    [ ! -f "$file" ] || printf '%-34s %9s bytes  %s\n' "$(basename "$file")" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
  done
}

for part in "${parts[@]}"; do "$part"; done
table
