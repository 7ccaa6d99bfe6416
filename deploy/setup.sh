#!/usr/bin/env bash
# Makes a fresh clone ready on Debian 12 or 13 and on Raspberry Pi OS (64-bit): packages, npm, build, models.
# It can be run again at any time; what is done already is skipped.
#   --test   also what the tests need
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh

with_tests=no
for argument in "$@"; do
  case $argument in
    --test) with_tests=yes ;;
    *) die "setup.sh knows --test only, not $argument" ;;
  esac
done

# Those of the lists that dpkg does not have as installed (or held).
missing_packages() {
  local wanted installed
  mapfile -t wanted < <(sed -e 's/#.*//' -e '/^$/d' "$@")
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^[ih]i  *//p') || true
  printf '%s\n' "${wanted[@]}" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

debian_packages() {
  command -v dpkg-query >/dev/null || die "this script knows Debian's packages only; see deploy/packages/ for what is needed"
  local lists=(deploy/packages/runtime.txt deploy/packages/build.txt)
  if grep -qs 'Raspberry Pi' /proc/device-tree/model; then lists+=(deploy/packages/raspberrypi.txt); fi
  if [ "$with_tests" = yes ]; then lists+=(deploy/packages/test.txt); fi
  local missing
  mapfile -t missing < <(missing_packages "${lists[@]}")
  if [ "${#missing[@]}" -eq 0 ]; then
    skip "Debian packages"
    return
  fi
  step "Debian packages: ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  as_root "${apt[@]}" update
  as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
  # Debian starts the broker when it installs it; the tests start one of their own, and port 1883 is ours.
  if [[ " ${missing[*]} " == *" mosquitto "* ]] && [ -d /run/systemd/system ]; then
    as_root systemctl disable --now mosquitto || echo "mosquitto's own service is still running on port 1883"
  fi
}

check_node() {
  local how="Get Node.js 20.17 or later: 'apt install nodejs npm' on Debian 13, or nodejs.org's package for Debian 12 and Raspberry Pi OS."
  command -v node >/dev/null || die "Node.js is not installed. $how"
  command -v npm >/dev/null || die "npm is not installed. $how"
  # One start of Node.js says all: whether it is new enough, where it is, and what addons are built for.
  local facts
  facts=$(node -p '
    const [major, minor] = process.versions.node.split(".").map(Number);
    const recent = major > 20 || (major === 20 && minor >= 17);
    [recent, process.version, require("node:path").resolve(process.execPath, "../.."), process.versions.modules + process.arch].join("\n")')
  local recent version prefix
  { read -r recent && read -r version && read -r prefix && read -r node_abi; } <<<"$facts"
  [ "$recent" = true ] || die "Node.js $version is too old. $how"
  # Node's own headers, where they are installed with it: node-gyp then downloads nothing.
  if [ -z "${npm_config_nodedir:-}" ] && [ -f "$prefix/include/node/node.h" ]; then
    export npm_config_nodedir=$prefix
  fi
}

npm_packages() {
  local stamp=node_modules/.faced-stamp key
  key="$(hash_of package-lock.json package.json native/better-sqlite3) $node_abi"
  if stamped $stamp "$key"; then
    skip "npm packages"
    return
  fi
  step "npm packages (better-sqlite3 may compile: a minute or two, longer on a Pi)"
  # Found by the compiler's own variable: a path in CXXFLAGS could hold no space. ONNX Runtime's package carries its CPU
  # binaries; its install step would only fetch CUDA's.
  CPATH="$PWD/native/better-sqlite3${CPATH:+:$CPATH}" CXXFLAGS="-include object-wrap.h" ONNXRUNTIME_NODE_INSTALL=skip \
    npm ci --no-fund --no-audit
  echo "$key" >$stamp
}

native_addon() {
  local stamp=native/opencv/build/.faced-stamp key
  key="$(hash_of native) $node_abi $(dpkg-query -W -f='${Version}' libopencv-core-dev)"
  if stamped $stamp "$key"; then
    skip "OpenCV addon, lock holder"
    return
  fi
  step "OpenCV addon, lock holder"
  make --silent -C native/lock
  npm run --silent build:native
  echo "$key" >$stamp
}

# Compiled files whose source is gone would still be run as tests.
remove_orphans() {
  local file source
  find dist \( -path dist/bundle -o -path dist/web \) -prune -o -name '*.js' -print | while read -r file; do
    source=${file#dist/}
    [ -f "${source%.js}.ts" ] || rm -f "$file" "$file.map"
  done
}

typescript() {
  local stamp=dist/.faced-stamp key
  mkdir -p bench
  key=$(hash_of src test bench web tsconfig.json package-lock.json deploy/bundle.mjs)
  if stamped $stamp "$key"; then
    skip "TypeScript"
    return
  fi
  step "TypeScript"
  npm run --silent build
  remove_orphans
  echo "$key" >$stamp
}

model_files() {
  step "Models"
  # Kept in a cache outside the checkout, so that the next clone finds them again; skipped when they are there.
  bin/faced model fetch
}

# Raspberry Pi OS leaves a released GPIO line as it was, so a lock could stay open when its holder is killed.
strict_gpio() {
  grep -qs 'Raspberry Pi' /proc/device-tree/model || return 0
  local config
  for config in /boot/firmware/config.txt /boot/config.txt; do
    [ -f "$config" ] || continue
    if has_strict_gpiod "$config"; then
      skip "strict_gpiod"
    else
      step "dtparam=strict_gpiod in $config (holds from the next start of the machine on)"
      local changed
      changed=$(mktemp)
      with_strict_gpiod "$config" >"$changed"
      as_root cp "$config" "$config.before-faced"
      as_root cp "$changed" "$config"
      rm -f "$changed"
    fi
    return 0
  done
  echo "no config.txt was found: add dtparam=strict_gpiod to it before a lock is wired to a GPIO line"
}

debian_packages
strict_gpio
check_node
npm_packages
native_addon
typescript
model_files
printf '\n==> Ready: bin/faced --help\n'
