// TensorRT, from 8.2 (JetPack 4.6, binding indices) to 10.x (tensor names).
#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <mutex>

#include "engine.h"
#include "wire.h"

namespace faced {
namespace {

// TensorRT may log from threads of its own.
class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kWARNING) return;
    std::fprintf(stderr, "tensorrt: %s\n", message);
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> guard(mutex_);
    last_error_ = message;
  }
  std::string last_error() const {
    const std::lock_guard<std::mutex> guard(mutex_);
    return last_error_.empty() ? "it gave no reason" : last_error_;
  }

 private:
  mutable std::mutex mutex_;
  std::string last_error_;
};

void cuda(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw Failure(std::string(what) + ": " + cudaGetErrorString(status));
}

// Memory that both the processor and the GPU see quickly: pinned on the host, and its copy on the device.
class Buffer {
 public:
  explicit Buffer(std::size_t floats) : bytes_(floats * sizeof(float)) {
    cuda(cudaMallocHost(&host_, bytes_), "no pinned memory");
    if (cudaMalloc(&device_, bytes_) != cudaSuccess) {
      cudaFreeHost(host_);
      throw Failure("no memory on the GPU: stop what else uses it");
    }
  }
  ~Buffer() {
    cudaFree(device_);
    cudaFreeHost(host_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  float* host() const { return static_cast<float*>(host_); }
  void* device() const { return device_; }
  void upload(std::size_t floats, cudaStream_t stream) {
    cuda(cudaMemcpyAsync(device_, host_, floats * sizeof(float), cudaMemcpyHostToDevice, stream), "copy to the GPU");
  }
  void download(std::size_t floats, cudaStream_t stream) {
    cuda(cudaMemcpyAsync(host_, device_, floats * sizeof(float), cudaMemcpyDeviceToHost, stream), "copy from the GPU");
  }

 private:
  std::size_t bytes_;
  void* host_ = nullptr;
  void* device_ = nullptr;
};

// A stream that ends with its owner.
class Stream {
 public:
  Stream() { cuda(cudaStreamCreate(&stream_), "no CUDA stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// What the two forms of the interface call differently, for the tensor at `index` in the order of the engine. Since 10.0
// a tensor is known by its name alone; before, by an index (both work from 8.5 to 9).
class Tensors {
 public:
  explicit Tensors(nvinfer1::ICudaEngine& engine) : engine_(engine) {}

#if NV_TENSORRT_MAJOR >= 10
  int count() const { return engine_.getNbIOTensors(); }
  const char* name(int index) const { return engine_.getIOTensorName(index); }
  bool is_input(int index) const { return engine_.getTensorIOMode(name(index)) == nvinfer1::TensorIOMode::kINPUT; }
  nvinfer1::Dims dims(int index) const { return engine_.getTensorShape(name(index)); }
  nvinfer1::DataType type(int index) const { return engine_.getTensorDataType(name(index)); }
  bool is_plain(int index) const {
    return engine_.getTensorFormat(name(index)) == nvinfer1::TensorFormat::kLINEAR &&
           engine_.getTensorLocation(name(index)) == nvinfer1::TensorLocation::kDEVICE;
  }
  nvinfer1::Dims bound(int index, nvinfer1::OptProfileSelector which) const {
    return engine_.getProfileShape(name(index), 0, which);
  }
#else
  int count() const { return engine_.getNbBindings(); }
  const char* name(int index) const { return engine_.getBindingName(index); }
  bool is_input(int index) const { return engine_.bindingIsInput(index); }
  nvinfer1::Dims dims(int index) const { return engine_.getBindingDimensions(index); }
  nvinfer1::DataType type(int index) const { return engine_.getBindingDataType(index); }
  bool is_plain(int index) const {
    return engine_.getBindingFormat(index) == nvinfer1::TensorFormat::kLINEAR &&
           engine_.getLocation(index) == nvinfer1::TensorLocation::kDEVICE;
  }
  nvinfer1::Dims bound(int index, nvinfer1::OptProfileSelector which) const {
    return engine_.getProfileDimensions(index, 0, which);
  }
#endif

 private:
  nvinfer1::ICudaEngine& engine_;
};

std::vector<int> without_batch(const nvinfer1::Dims& dims, const char* name) {
  std::vector<int> shape;
  for (int at = 1; at < dims.nbDims; at++) {
    if (dims.d[at] <= 0) throw Failure(std::string("only the batch may be free, and ") + name + " has another free side");
    shape.push_back(static_cast<int>(dims.d[at]));
  }
  return shape;
}

class TensorRtEngine : public Engine {
 public:
  explicit TensorRtEngine(const std::vector<char>& file) {
    runtime_.reset(nvinfer1::createInferRuntime(logger_));
    if (!runtime_) throw Failure("TensorRT does not start: is the GPU's driver loaded, and may this user open it?");
    engine_.reset(runtime_->deserializeCudaEngine(file.data(), file.size()));
    if (!engine_)
      throw Failure("TensorRT " + engine_version() + " does not take this engine (" + logger_.last_error() +
                    "): make it again on this board with `faced model engine`");
    context_.reset(engine_->createExecutionContext());
    if (!context_) throw Failure("no memory for the engine: " + logger_.last_error());
    describe();
  }

  const EngineInfo& info() const override { return info_; }

  void run(const float* input, int count, const std::vector<float*>& outputs) override {
    for (int first = 0; first < count; first += max_batch_) {
      const int size = std::min(max_batch_, count - first);
      const std::size_t stride = info_.input.elements();
      const float* from = input + static_cast<std::size_t>(first) * stride;
      std::copy(from, from + static_cast<std::size_t>(size) * stride, buffers_[static_cast<std::size_t>(input_)]->host());
      run_batch(size);
      for (std::size_t at = 0; at < outputs.size(); at++) {
        const std::size_t elements = info_.outputs[at].elements();
        const float* answer = buffers_[static_cast<std::size_t>(output_indices_[at])]->host();
        std::copy(answer, answer + static_cast<std::size_t>(size) * elements,
                  outputs[at] + static_cast<std::size_t>(first) * elements);
      }
    }
  }

 private:
  void describe() {
    info_.kind = engine_kind();
    info_.version = engine_version();
    int device = 0;
    cudaDeviceProp properties;
    cuda(cudaGetDevice(&device), "no GPU");
    cuda(cudaGetDeviceProperties(&properties, device), "the GPU says nothing of itself");
    info_.device = properties.name;
    Tensors tensors(*engine_);
    int inputs = 0;
    for (int at = 0; at < tensors.count(); at++) {
      // Any other layout would take another number of bytes than our buffers have.
      if (tensors.type(at) != nvinfer1::DataType::kFLOAT || !tensors.is_plain(at))
        throw Failure(std::string("tensor ") + tensors.name(at) +
                      " is not plain float32: make the engine from a model with float input and output");
      const nvinfer1::Dims dims = tensors.dims(at);
      if (dims.nbDims < 2) throw Failure(std::string("tensor ") + tensors.name(at) + " has no batch");
      TensorInfo tensor{tensors.name(at), without_batch(dims, tensors.name(at))};
      if (tensors.is_input(at)) {
        inputs++;
        input_ = at;
        free_batch_ = dims.d[0] < 0;
        max_batch_ = batch_of(tensors, at, dims);
        info_.input = tensor;
      } else {
        output_indices_.push_back(at);
        info_.outputs.push_back(tensor);
      }
    }
    if (inputs != 1 || info_.outputs.empty() || max_batch_ < 1)
      throw Failure("the engine must have one input, and outputs");
    for (int at = 0, next = 0; at < tensors.count(); at++) {
      const TensorInfo& tensor = at == input_ ? info_.input : info_.outputs[static_cast<std::size_t>(next++)];
      buffers_.emplace_back(new Buffer(tensor.elements() * static_cast<std::size_t>(max_batch_)));
    }
  }

  // Pictures that one run may take.
  int batch_of(const Tensors& tensors, int at, const nvinfer1::Dims& dims) const {
    const auto least = free_batch_ ? tensors.bound(at, nvinfer1::OptProfileSelector::kMIN).d[0] : dims.d[0];
    const auto most = free_batch_ ? tensors.bound(at, nvinfer1::OptProfileSelector::kMAX).d[0] : dims.d[0];
    // An engine that wants more than one at a time would run empty places.
    if (least != 1 || most < 1) throw Failure("the engine's batch must be 1, or free from 1 on");
    return most < static_cast<int>(kMostPictures) ? static_cast<int>(most) : static_cast<int>(kMostPictures);
  }

  void run_batch(int size) {
    const cudaStream_t stream = stream_.get();
    buffers_[static_cast<std::size_t>(input_)]->upload(static_cast<std::size_t>(size) * info_.input.elements(), stream);
    if (!enqueue(size, stream)) throw Failure("TensorRT could not run the engine: " + logger_.last_error());
    for (std::size_t at = 0; at < output_indices_.size(); at++)
      buffers_[static_cast<std::size_t>(output_indices_[at])]->download(
          static_cast<std::size_t>(size) * info_.outputs[at].elements(), stream);
    cuda(cudaStreamSynchronize(stream), "the GPU failed");
  }

  bool enqueue(int size, cudaStream_t stream) {
    Tensors tensors(*engine_);
    nvinfer1::Dims dims = tensors.dims(input_);
    dims.d[0] = size;
#if NV_TENSORRT_MAJOR >= 10
    if (free_batch_ && !context_->setInputShape(tensors.name(input_), dims)) return false;
    for (int at = 0; at < tensors.count(); at++)
      if (!context_->setTensorAddress(tensors.name(at), buffers_[static_cast<std::size_t>(at)]->device())) return false;
    return context_->enqueueV3(stream);
#else
    if (free_batch_ && !context_->setBindingDimensions(input_, dims)) return false;
    std::vector<void*> bindings;
    for (const std::unique_ptr<Buffer>& buffer : buffers_) bindings.push_back(buffer->device());
    return context_->enqueueV2(bindings.data(), stream, nullptr);
#endif
  }

  // In the order in which they must outlive each other.
  Logger logger_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  Stream stream_;
  std::vector<std::unique_ptr<Buffer>> buffers_;  // by the engine's index
  int input_ = -1;
  bool free_batch_ = false;
  int max_batch_ = 0;
  std::vector<int> output_indices_;
  EngineInfo info_;
};

}  // namespace

// 8201 is 8.2.1; since 10.0 the major version has two digits more behind it: 100001 is 10.0.1.
std::string engine_version() {
  const int number = getInferLibVersion();
  const int unit = number >= 100000 ? 10000 : 1000;
  return std::to_string(number / unit) + "." + std::to_string(number % unit / 100) + "." + std::to_string(number % 100);
}
const char* engine_kind() { return "tensorrt"; }

std::unique_ptr<Engine> open_engine(const std::vector<char>& file) {
  return std::unique_ptr<Engine>(new TensorRtEngine(file));
}

}  // namespace faced
