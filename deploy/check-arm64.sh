#!/usr/bin/env bash
# The arm64 package, unpacked and run under qemu with the instruction set of a Raspberry Pi 4's processor (Cortex-A72):
# embeddings against stored FP32 answers, in FP32 and INT8, gallery, MQTT to a real broker, a folder of pictures and a
# clip. Minutes.
#   check-arm64.sh [--if-possible]     --if-possible: says so and ends well where qemu or the cross compiler is not installed
# Needs a checkout that is set up with --test, and what deploy/packages/cross.txt names.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. deploy/lib.sh
# shellcheck source-path=SCRIPTDIR source=cross-lib.sh
. deploy/cross-lib.sh
# shellcheck disable=SC1091 # it is checked by itself
. deploy/check/pi4-files.sh

for program in qemu-aarch64-static aarch64-linux-gnu-g++ mosquitto gst-launch-1.0; do
  PATH=$PATH:/usr/sbin command -v $program >/dev/null && continue
  # In a run of all checks, one that this machine cannot do is said and left out.
  [ "${1:-}" = --if-possible ] || die "needs $program: see deploy/packages/cross.txt and test.txt"
  echo "==> The arm64 package is not checked: $program is not installed (deploy/packages/cross.txt)"
  exit 0
done

dir=$CROSS_DIR/check-arm64
rm -rf "$dir"
mkdir -p "$dir"
FACED_CROSS_DIR=$CROSS_DIR bash deploy/package.sh --out "$dir/out" arm64/bookworm
step "Unpack"
dpkg-deb -x "$dir"/out/*.deb "$dir/root"
app=$dir/root/opt/faced
root=$CROSS_DIR/arm64-bookworm/root
libraries=/usr/lib/aarch64-linux-gnu

# A program of the package on its processor. What is not found in the foreign root is looked for on this machine.
emulated() {
  QEMU_CPU=cortex-a72 qemu-aarch64-static -L "$root" \
    -E LD_LIBRARY_PATH="$libraries:$libraries/blas:$libraries/lapack" "$app/runtime/node" "$@"
}
faced() { emulated "$app/dist/bundle/main.js" "$@"; }
pi4_files "$root"

step "Pictures, and answers of this machine"
bin/faced model fetch --demo >/dev/null
models=$(bin/faced model list --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).dir')
node deploy/check/prepare.mjs "$dir"
bin/faced model quantize --calibration "$dir/faces" --out "$dir/int8.onnx" >"$dir/int8.txt"
gst-launch-1.0 -q multifilesrc location="$dir/clip/%03d.jpg" caps=image/jpeg,framerate=10/1 ! jpegdec ! videoconvert ! \
  x264enc key-int-max=5 ! mp4mux ! filesink location="$dir/clip.mp4"

export FACED_STATE_DIR=$dir/state FACED_MODELS_DIR=$dir/models FACED_ISOLATION=thread FACED_MQTT_EMBEDDED_PORT=0 FACED_HTTP_PORT=0
# As on a board without a network: the files are brought, and made fit for the processor there.
step "Models for arm64"
mkdir -p "$dir/models"
for id in mobilefacenet ultraface landmarks68 minifasnet; do
  faced model fetch "$id" --from "$models/$id.onnx" >/dev/null
done

step "Embeddings"
# The package's modules, in the form in which the package has them; the file lies where they find their neighbours.
node_modules/.bin/esbuild deploy/check/embed.mjs --bundle --format=esm --platform=node --log-level=warning \
  --external:onnxruntime-node --external:protobufjs --external:better-sqlite3 --outfile="$app/dist/bundle/lib/check-embed.js" \
  --banner:js="import{createRequire as \$require}from'node:module';const require=\$require(import.meta.url);"
emulated "$app/dist/bundle/lib/check-embed.js" "$dir/models" "$dir/crops.json" "$dir/int8.onnx" | tee "$dir/embeddings.json"
# shellcheck disable=SC2016 # JavaScript
node -e '
  const { arch, storedAnswers, optimised, fp32, int8 } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
  const check = (holds, what) => { if (!holds) { console.error(`faced: ${what}`); process.exit(1); } };
  check(arch === "arm64", "this is not arm64");
  check(storedAnswers > 0.999999 && fp32.least > 0.999999, "FP32 answers differently");
  check(optimised === null || optimised > 0.99999, "the optimised form answers differently");
  check(int8.mean > 0.95, "INT8 answers differently");' "$dir/embeddings.json"

step "Gallery, MQTT, a folder, a clip"
emulated deploy/check/statements.mjs "$app"
FACED_BROKER_DIR=$dir node deploy/check/broker.mjs >"$dir/broker.log" 2>&1 &
broker=$!
trap 'kill $broker 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -s "$dir/broker.url" ] && break; sleep 0.1; done
FACED_MQTT_URL=$(cat "$dir/broker.url")
export FACED_MQTT_URL FACED_DEVICE=pi
faced enroll Ada "$dir/enroll" --json | tee "$dir/enroll.json"
faced people list
faced run --once --json --source "images:$dir/pictures" >"$dir/pictures.ndjson"
faced run --once --json --source "file:$dir/clip.mp4" >"$dir/clip.ndjson"
faced audit verify
kill $broker
wait $broker || true
node deploy/check/verdict.mjs "$dir"
step "The arm64 package works"
