#pragma once

#include <vector>

#include "engine.h"

namespace faced {

// Name and shape, batch included, of the only input of an ONNX file (onnx.proto3: ModelProto.graph.input). OpenCV does
// not say it. A free batch counts as 1. Throws Failure.
TensorInfo onnx_input(const std::vector<char>& file);

}  // namespace faced
