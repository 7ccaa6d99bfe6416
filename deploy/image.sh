#!/usr/bin/env bash
# Makes OCI images from packages, without a container engine, and without running anything of them, so for the other
# architecture too:
#   image.sh [--out DIR] faced_VERSION+RELEASE_ARCH.deb...     default: beside each package
# Each becomes faced_VERSION+RELEASE_ARCH.oci.tar, which `docker load`, `podman load` and `skopeo copy oci-archive:…` take.
# Two layers: what Debian brings, and faced. The same packages give the same image, bit for bit. Needs umoci, systemd (for
# sysusers) and, for the other architecture, qemu-user-static.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh
# shellcheck source-path=SCRIPTDIR source=cross-lib.sh
. deploy/cross-lib.sh

out=
packages=()
while [ "$#" -gt 0 ]; do
  case $1 in
    --out) out=$(readlink -m "${2:?--out takes a folder}"); shift ;;
    *.deb) [ -f "$1" ] || die "there is no file $1"; packages+=("$(readlink -f "$1")") ;;
    *) die "image.sh takes --out DIR and packages, not $1" ;;
  esac
  shift
done
[ "${#packages[@]}" -gt 0 ] || die "image.sh takes one package or more: deploy/package.sh makes them"
command -v umoci >/dev/null || die "needs umoci: see deploy/packages/cross.txt"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
written() { date --utc --date="@$1" +%Y-%m-%dT%H:%M:%SZ; }

# What the package needs, a shell with its tools for the launchers, the names of users; not what only an installation runs.
MORE_PACKAGES=(gstreamer1.0-plugins-bad base-files base-passwd coreutils dash libc-bin)
# Nor drivers of a screen, and the compiler that they bring; in trixie other packages ask for exactly their version.
NOT_NEEDED=(systemd init-system-helpers debconf openssl mawk perl-base dpkg libgl1-mesa-dri libllvm19)

# system ARCH SUITE PACKAGE DIR: what Debian brings, in DIR/system.tar, with the time of its newest package, so that it stays
# the same for as long as these do.
system() {
  local arch=$1 suite=$2 package=$3 dir=$4 root="$4/root" name key
  rm -rf "$dir/apt/state"
  mkdir -p "$dir/apt/state"
  for name in "${NOT_NEEDED[@]}"; do
    printf 'Package: %s\nStatus: install ok installed\nVersion: 9:999\nArchitecture: %s\nMulti-Arch: foreign\n' "$name" "$arch"
    printf 'Provides: awk, debconf-2.0\nMaintainer: nobody\nDescription: not needed\n\n'
  done >"$dir/apt/state/status"
  APT_SECURITY=yes fetch_packages "$arch" "$suite" "$dir/apt" "$package" "${MORE_PACKAGES[@]}"
  # The package itself is the other layer.
  grep -v '/faced_' "$dir/apt/files" >"$dir/files"
  key="$(hash_of "$dir/files" deploy/image.sh deploy/cross-lib.sh systemd/faced.sysusers)"
  if stamped "$dir/.stamp" "$key"; then
    skip "Debian $suite for $arch, as far as faced needs it"
    return
  fi
  step "Debian $suite for $arch, as far as faced needs it"
  rm -rf "$root"
  mkdir -p "$root"
  unpack_packages "$dir/files" "$root"
  mkdir -p "$root/var/lib/dpkg/status.d"
  while read -r name; do
    dpkg-deb --field "$name" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$name" Package)"
    # The time of a package stands in the first header of its archive (ar(5)).
    head -c 36 "$name" | tail -c 12
    echo
  done <"$dir/files" | sort -n | tail -1 | tr -d ' ' >"$dir/time"
  rm -rf "$root"/usr/share/{man,info,lintian,bug,locale,doc-base,icons,themes,iso-codes,sounds,bash-completion} \
    "$root"/usr/lib/{systemd,udev} "$root"/usr/lib/*/{dri,libgallium-*} "$root"/etc/{init.d,cron.daily,default}
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  find "$root/usr/share/doc" -type d -empty -delete
  SOURCE_DATE_EPOCH=$(cat "$dir/time") configure "$arch" "$root"
  layer "$root" "$dir/system.tar" "$(cat "$dir/time")"
  rm -rf "$root"
  echo "$key" >"$dir/.stamp"
}

# What the packages' scripts would have done.
configure() {
  local arch=$1 root=$2 lib library run=
  lib=usr/lib/$(triplet_of "$arch")
  cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
  cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
  systemd-sysusers --root="$root" - <systemd/faced.sysusers 2>/dev/null
  # Nobody signs in.
  rm -f "$root"/etc/{shadow,gshadow,passwd-,group-,shadow-,gshadow-,.pwd.lock}
  ln -sf dash "$root/usr/bin/sh"
  for library in blas/libblas.so.3 lapack/liblapack.so.3; do
    [ ! -e "$root/$lib/$library" ] || ln -sf "$library" "$root/$lib/${library#*/}"
  done
  mkdir -p "$root/etc/ssl/certs"
  find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat >"$root/etc/ssl/certs/ca-certificates.crt"
  [ "$arch" = "$(dpkg --print-architecture)" ] || run="qemu-$(uname_of "$arch")-static"
  # Its cache for libraries; without the other one, which holds the time.
  $run "$root/usr/sbin/ldconfig" -r "$root" -X
  rm -rf "$root/var/cache/ldconfig"
}

uname_of() { case $1 in amd64) echo x86_64 ;; arm64) echo aarch64 ;; esac; }

# faced_layer PACKAGE ROOT: the package, and what starts it in a container.
faced_layer() {
  rm -rf "$2"
  mkdir -p "$2"
  dpkg-deb --extract "$1" "$2"
  # No systemd, no sources for a Jetson's host, which has its own checkout.
  rm -rf "$2"/usr/lib/{systemd,sysusers.d,tmpfiles.d} "$2"/opt/faced/{systemd,native/tensorrt,deploy}
  install -D -m 0755 deploy/container/faced-container "$2/usr/local/bin/faced-container"
  install -D -m 0644 deploy/container/supervisor-broker.mjs "$2/usr/local/lib/faced/supervisor-broker.mjs"
  install -d -m 0700 "$2/var/lib/faced"
}

# layer ROOT FILE TIME [PATH...]: the tree as an archive that says nothing of when and by whom; faced's user owns the paths
# named.
layer() {
  local root=$1 file=$2 path
  local options=(--format=gnu --sort=name --mtime="@$3" --numeric-owner -C "$root")
  shift 3
  tar "${options[@]}" --owner=0 --group=0 "${@/#/--exclude=./}" -cf "$file" .
  for path in "$@"; do tar "${options[@]}" --owner=871 --group=871 -rf "$file" "./$path"; done
}

image() {
  local package=$1 arch version suite dir name file layout
  arch=$(dpkg-deb --field "$package" Architecture)
  version=$(dpkg-deb --field "$package" Version)
  suite=${version##*+}
  known "$arch" "$suite"
  dir=$CROSS_DIR/image-$arch-$suite name=$(basename "$package" .deb)
  file=${out:-$(dirname "$package")}/$name.oci.tar
  mkdir -p "$(dirname "$file")"
  system "$arch" "$suite" "$package" "$dir"
  faced_layer "$package" "$dir/faced"
  layer "$dir/faced" "$dir/faced.tar" "$SOURCE_DATE_EPOCH" var/lib/faced etc/faced

  step "Image for $arch, $suite"
  # A tag has no plus.
  layout=$dir/layout name=${version//+/-}
  rm -rf "$layout"
  umoci init --layout "$layout"
  umoci new --image "$layout:$name"
  umoci raw add-layer --image "$layout:$name" \
    --history.created "$(written "$(cat "$dir/time")")" --history.created_by "Debian $suite" "$dir/system.tar"
  umoci raw add-layer --image "$layout:$name" \
    --history.created "$(written "$SOURCE_DATE_EPOCH")" --history.created_by "faced $version" "$dir/faced.tar"
  umoci config --image "$layout:$name" --no-history --created "$(written "$SOURCE_DATE_EPOCH")" --author faced --architecture "$arch" --os linux \
    --config.user faced:faced --config.workingdir /var/lib/faced --config.entrypoint /usr/local/bin/faced-container \
    --config.cmd run --config.volume /var/lib/faced --config.volume /etc/faced --config.stopsignal SIGTERM \
    --config.exposedports 8723/tcp --config.exposedports 1883/tcp \
    --config.env PATH=/usr/local/bin:/usr/bin:/bin --config.env LANG=C.UTF-8 --config.env HOME=/var/lib/faced \
    --config.env FACED_STATE_DIR=/var/lib/faced --config.env FACED_MODELS_DIR=/var/lib/faced/models \
    --config.label org.opencontainers.image.title=faced --config.label "org.opencontainers.image.version=$version" \
    --config.label org.opencontainers.image.licenses=MIT
  umoci gc --layout "$layout" >/dev/null
  docker_manifest "$layout" "$name"
  tar --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -C "$layout" -cf "$file.part" .
  mv "$file.part" "$file"
  rm -rf "$layout" "$dir/faced" "$dir/faced.tar"
  printf '%s  %s bytes  %s\n' "$(sha256sum "$file" | cut -d' ' -f1)" "$(stat -c %s "$file")" "$file"
}

# The list that `docker load` looks for, beside the one of OCI: it names the same files.
docker_manifest() {
  # shellcheck disable=SC2016 # JavaScript
  node -e '
    const { readFileSync, writeFileSync } = require("fs");
    const [layout, tag] = process.argv.slice(1);
    const path = (digest) => `blobs/${digest.replace(":", "/")}`;
    const read = (file) => JSON.parse(readFileSync(`${layout}/${file}`, "utf8"));
    const manifest = read(path(read("index.json").manifests[0].digest));
    const { config, layers } = manifest;
    const list = [{ Config: path(config.digest), RepoTags: [`faced:${tag}`], Layers: layers.map(({ digest }) => path(digest)) }];
    writeFileSync(`${layout}/manifest.json`, JSON.stringify(list));' "$1" "$2"
}

for package in "${packages[@]}"; do image "$package"; done
