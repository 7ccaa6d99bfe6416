// One loaded network: the small interface between the protocol server and what runs the network.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace faced {

// Something that ends the program or a request, in words for people: what happened, and what to do about it.
struct Failure : std::runtime_error {
  explicit Failure(const std::string& what) : std::runtime_error(what) {}
};

// A tensor of one picture: the batch is not part of the shape.
struct TensorInfo {
  std::string name;
  std::vector<int> shape;

  std::size_t elements() const {
    std::size_t count = 1;
    for (int side : shape) count *= static_cast<std::size_t>(side);
    return count;
  }
};

struct EngineInfo {
  std::string kind;     // tensorrt, opencv
  std::string version;  // of the library that runs the network: 8.2.1
  std::string device;   // the GPU's name, empty when there is none
  TensorInfo input;
  std::vector<TensorInfo> outputs;
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineInfo& info() const = 0;

  // Runs `count` pictures, one behind the other in `input`. `outputs[i]` takes count x info().outputs[i].elements().
  // Throws Failure.
  virtual void run(const float* input, int count, const std::vector<float*>& outputs) = 0;
};

// The version of the library that this program was linked with, without loading a network: 8.2.1.
std::string engine_version();
const char* engine_kind();

// Loads the network from the bytes of its file. Throws Failure.
std::unique_ptr<Engine> open_engine(const std::vector<char>& file);

}  // namespace faced
