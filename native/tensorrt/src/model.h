// The file that is served, and what its note says of it.
#pragma once

#include <memory>
#include <string>

#include "engine.h"

namespace faced {

struct ServedModel {
  std::unique_ptr<Engine> engine;
  std::string file_sha256;
  // SHA-256 of the ONNX file that the engine was made from; the file itself where it is ONNX.
  std::string model_sha256;
  // SHA-256 of the stock file from which that one was made; empty when it was made from none.
  std::string derived_from;
  std::string precision;
  std::string board;
};

// What this board is called in its device tree; the GPU's name, or "unknown", where it has none.
std::string board_name(const std::string& gpu);

// Reads, checks and loads the file. Throws Failure with the mend: a file or folder that others than root may write, an
// engine of another TensorRT version or board (by the note beside it, FILE.json), a file that is not what its note says.
ServedModel open_model(const std::string& path);

}  // namespace faced
