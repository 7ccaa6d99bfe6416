#!/usr/bin/env bash
# Builds Debian packages on this machine, for others as well:
#   package.sh [--out DIR] [ARCH/RELEASE]...     default: {amd64,arm64}/{bookworm,trixie} into build/packages
# Needs a checkout that is set up (deploy/setup.sh); for the other architecture Debian's cross compiler. Two builds of the
# same commit are the same, bit for bit, wherever they are made.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh
# shellcheck source-path=SCRIPTDIR source=cross-lib.sh
. deploy/cross-lib.sh

out=$PWD/build/packages
targets=()
while [ "$#" -gt 0 ]; do
  case $1 in
    --out) out=$(readlink -m "${2:?--out takes a folder}"); shift ;;
    */*) known "${1%/*}" "${1#*/}"; targets+=("$1") ;;
    *) die "package.sh takes --out DIR and ARCH/RELEASE (amd64/bookworm), not $1" ;;
  esac
  shift
done
[ "${#targets[@]}" -gt 0 ] || targets=(amd64/bookworm arm64/bookworm amd64/trixie arm64/trixie)

MAINTAINER="The faced developers <faced@localhost>"
MOST_BYTES=$((70 * 1000 * 1000))
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
version=$(node -p 'require("./package.json").version')
# The public registry, as npm itself has it, whatever this machine is set to: models come from there where no npm is.
registry=$(cd / && env -i PATH="$PATH" npm config get registry --userconfig=/dev/null --globalconfig=/dev/no-file)

# node_modules_for APP NODE_ARCH: what the bundle leaves outside itself (EXTERNAL in bundle.mjs) and what that needs: no
# sources, types, maps or pages, and of ONNX Runtime one architecture, without what only its installation needs.
node_modules_for() {
  local app=$1 node_arch=$2 name
  # shellcheck disable=SC2016 # JavaScript
  node -e '
    const seen = new Set(["adm-zip", "global-agent", "prebuild-install"]);
    const take = (name) => {
      if (seen.has(name)) return;
      seen.add(name);
      console.log(name);
      Object.keys(require(`./node_modules/${name}/package.json`).dependencies ?? {}).forEach(take);
    };
    ["better-sqlite3", "onnxruntime-node", "protobufjs"].forEach(take);' |
    while read -r name; do cp -a "node_modules/$name" "$app/node_modules/"; done
  rm -rf "$app"/node_modules/better-sqlite3/{deps,src,build,binding.gyp,docs} "$app"/node_modules/{onnxruntime-node/script,protobufjs/dist,protobufjs/node_modules}
  find "$app/node_modules/onnxruntime-node/bin" -mindepth 3 -maxdepth 3 -type d ! -path "*/linux/$node_arch" -exec rm -rf {} +
  find "$app/node_modules" -type f \( -name '*.map' -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' -o -name '*.markdown' \
    -o -iname 'readme*' -o -iname 'changelog*' -o -iname 'history*' -o -name '.*' \) -delete
  find "$app/node_modules" -type d -empty -delete
}

# stage ARCH RELEASE ROOT: what the package unpacks.
stage() {
  local arch=$1 suite=$2 root=$3 app="$3/opt/faced" native="$CROSS_DIR/$1-$2/native" file
  rm -rf "$root"
  mkdir -p "$app"/{bin,dist,native/opencv/build/Release,native/lock/build,node_modules,runtime,deploy,systemd} "$root"/usr/{bin,share/doc/faced,share/man/man1} "$root/etc/faced"
  cp -a dist/bundle "$app/dist/"
  # The page of the daemon, where it is built apart from what serves it.
  [ ! -d dist/web ] || cp -a dist/web "$app/dist/"
  cp bin/faced "$app/bin/"
  # What is read beside the code: pages, the scenario of the demo.
  (cd src && find . -type f ! -name "*.ts" -exec install -D -m 0644 {} "$app/src/{}" \;)
  cp -a models docs package.json README.md LICENSE CHANGELOG.md "$app/"
  cp -a "$native/faced_opencv.node" "$native/stand-ins" "$app/native/opencv/build/Release/"
  cp "$native/faced-lock" "$app/native/lock/build/"
  node_modules_for "$app" "$(node_arch_of "$arch")"
  mkdir -p "$app/node_modules/better-sqlite3/build/Release"
  cp "$native/better_sqlite3.node" "$app/node_modules/better-sqlite3/build/Release/"
  cp "$CROSS_DIR/node-$arch/bin/node" "$app/runtime/node"
  "$STRIP" --strip-unneeded "$app/runtime/node"
  cp "$CROSS_DIR/node-$arch/LICENSE" "$app/runtime/"
  # What is built or run on the board itself.
  git archive HEAD native/tensorrt deploy/jetson deploy/pi | tar -x -C "$app"
  cp systemd/* "$app/systemd/"
  mkdir -p "$root"/usr/lib/systemd/system/faced.service.d "$root"/usr/lib/{sysusers.d,tmpfiles.d}
  cp systemd/faced.service "$root/usr/lib/systemd/system/"
  {
    cat systemd/faced-package.conf
    printf '# There is no npm to fetch the models with.\nEnvironment=FACED_NPM_REGISTRY=%s\n' "$registry"
  } >"$root/usr/lib/systemd/system/faced.service.d/10-package.conf"
  cp systemd/faced.sysusers "$root/usr/lib/sysusers.d/faced.conf"
  cp systemd/faced.tmpfiles "$root/usr/lib/tmpfiles.d/faced.conf"
  cp deploy/debian/faced.yaml "$root/etc/faced/"
  sed "s|@REGISTRY@|$registry|" deploy/debian/faced >"$root/usr/bin/faced"
  chmod 755 "$root/usr/bin/faced"
  {
    cat LICENSE
    printf '\nNode.js (/opt/faced/runtime/node) has the licence in /opt/faced/runtime/LICENSE; the packages in\n'
    printf '/opt/faced/node_modules have each their own beside them; those of what is built into faced itself and its page\n'
    printf 'are in /opt/faced/dist/bundle/LICENCES.txt.\n'
  } >"$root/usr/share/doc/faced/copyright"
  {
    printf 'faced (%s) %s; urgency=medium\n\n  * What has changed is in /opt/faced/CHANGELOG.md.\n\n' "$version+$suite" "$suite"
    printf ' -- %s  %s\n' "$MAINTAINER" "$(LC_ALL=C date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
  } | gzip -9n >"$root/usr/share/doc/faced/changelog.gz"
  bin/faced help --json | node deploy/debian/man.mjs "$version" "$(date --utc --iso-8601 --date="@$SOURCE_DATE_EPOCH")" |
    gzip -9n >"$root/usr/share/man/man1/faced.1.gz"
}

# The packages of the libraries that the addon is linked with, by the release's own names.
opencv_packages() {
  local arch=$1 suite=$2
  case $suite in bookworm) number=406 ;; trixie) number=410 ;; esac
  printf 'libopencv-core%s, libopencv-imgproc%s, libopencv-imgcodecs%s, libopencv-videoio%s' "$number" "$number" "$number" "$number"
}

package() {
  local arch=$1 suite=$2 root="$CROSS_DIR/$1-$2/package" name file
  step "Package for $arch, $suite"
  compilers "$arch" "$suite"
  stage "$arch" "$suite" "$root"
  mkdir -p "$root/DEBIAN" "$out"
  cp deploy/debian/{postinst,prerm,postrm} "$root/DEBIAN/"
  printf '/etc/faced/faced.yaml\n' >"$root/DEBIAN/conffiles"
  (cd "$root" && find etc opt usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
  find "$root" -type d -exec chmod 755 {} +
  find "$root" -type f -perm /111 -exec chmod 755 {} +
  find "$root" -type f \( ! -perm /111 -o -name '*.node' -o -name '*.so.*' \) -exec chmod 644 {} +
  chmod 755 "$root"/DEBIAN/p*
  cat >"$root/DEBIAN/control" <<CONTROL
Package: faced
Version: $version+$suite
Architecture: $arch
Maintainer: $MAINTAINER
Section: misc
Priority: optional
Installed-Size: $(find "$root" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{ kb += int(($1 + 1023) / 1024) } END { print kb }')
Depends: libc6, libstdc++6, libgcc-s1, ca-certificates, init-system-helpers (>= 1.51), systemd | systemd-standalone-sysusers, $(opencv_packages "$arch" "$suite"), gstreamer1.0-plugins-base, gstreamer1.0-plugins-good
Recommends: gstreamer1.0-plugins-bad
Description: Face recognition for the door
 A daemon that watches a camera and tells the house over MQTT who is standing
 there. Everything happens on the machine itself. The models are fetched at the
 first start, or brought with "faced model fetch --from FILE".
CONTROL
  find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  name="faced_${version}+${suite}_${arch}.deb"
  file="$out/$name"
  # Another number of threads would give other bytes.
  dpkg-deb --root-owner-group -Zxz --threads-max=2 --build "$root" "$file.part" >/dev/null
  mv "$file.part" "$file"
  [ "$(stat -c %s "$file")" -le "$MOST_BYTES" ] || die "$name has $(stat -c %s "$file") bytes, at most $MOST_BYTES are meant"
  printf '%s  %s bytes  %s\n' "$(sha256sum "$file" | cut -d' ' -f1)" "$(stat -c %s "$file")" "$file"
}

npm run --silent build
for target in "${targets[@]}"; do
  native_parts "${target%/*}" "${target#*/}"
  package "${target%/*}" "${target#*/}"
done
