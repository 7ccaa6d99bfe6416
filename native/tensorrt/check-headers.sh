#!/usr/bin/env bash
# Holds the TensorRT side to NVIDIA's headers, without a GPU or their libraries:
#   check-headers.sh [TENSORRT_INCLUDE [CUDA_INCLUDE]]      without folders: where JetPack has them
# Exits with 0 when the compiler takes it, 1 when it does not, and 77 (skipped, with the reason) where headers are absent.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[ "$#" -le 2 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
tensorrt=${1:-/usr/include/$(uname -m)-linux-gnu}
cuda=${2:-/usr/local/cuda/include}

skip() { echo "skipped: $*"; exit 77; }
[ -f "$tensorrt/NvInfer.h" ] || skip "$tensorrt has no NvInfer.h (NVIDIA/TensorRT publishes its headers for each release)"
[ -f "$cuda/cuda_runtime_api.h" ] || skip "$cuda has no cuda_runtime_api.h (CUDA's headers)"

# Later releases define their numbers through names that end with _ENTERPRISE.
version=$(cat "$tensorrt"/NvInferVersion.h "$tensorrt"/NvInferRuntimeCommon.h 2>/dev/null |
  sed -nE 's/^#define (NV_TENSORRT|TRT)_(MAJOR|MINOR)(_ENTERPRISE)? ([0-9]+).*/\4/p' | head -2 | paste -sd. || true)
# -isystem: their warnings are theirs. Ours are errors.
for source in "$here"/src/*.cc; do
  [ "$(basename "$source")" != engine_opencv.cc ] || continue
  "${CXX:-g++}" -std=c++14 -fsyntax-only -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -Wno-deprecated-declarations \
    -isystem "$tensorrt" -isystem "$cuda" "$source"
done
echo "the source fits TensorRT ${version:-of an unknown version}"
