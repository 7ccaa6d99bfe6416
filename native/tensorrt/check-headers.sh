#!/usr/bin/env bash
# Holds the TensorRT side to NVIDIA's headers, without a GPU or their libraries:
#   check-headers.sh TENSORRT_INCLUDE CUDA_INCLUDE
# Exits with 0 when the compiler takes it, 1 when it does not, and 77 (skipped, with the reason) where headers are absent.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
[ "$#" -eq 2 ] || { echo "usage: check-headers.sh TENSORRT_INCLUDE CUDA_INCLUDE" >&2; exit 2; }

skip() { echo "skipped: $*"; exit 77; }
[ -f "$1/NvInfer.h" ] || skip "$1 has no NvInfer.h (NVIDIA/TensorRT publishes its headers for each release)"
[ -f "$2/cuda_runtime_api.h" ] || skip "$2 has no cuda_runtime_api.h (CUDA's headers)"

version=$(cat "$1"/NvInferVersion.h "$1"/NvInferRuntimeCommon.h 2>/dev/null |
  sed -nE 's/^#define (NV_TENSORRT|TRT)_(MAJOR|MINOR)(_ENTERPRISE)? ([0-9]+).*/\4/p' | head -2 | paste -sd. || true)
# -isystem: their warnings are theirs. Ours are errors.
for source in "$here"/src/*.cc; do
  [ "$(basename "$source")" != engine_opencv.cc ] || continue
  "${CXX:-g++}" -std=c++14 -fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Werror -Wno-deprecated-declarations \
    -isystem "$1" -isystem "$2" "$source"
done
echo "the source fits TensorRT ${version:-of an unknown version}"
