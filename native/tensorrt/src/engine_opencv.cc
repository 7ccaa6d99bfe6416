// The engine that needs no GPU: OpenCV's dnn module on an ONNX file. It serves to run the server where TensorRT is not.
#include <opencv2/core/version.hpp>
#include <opencv2/dnn.hpp>

#include <cstring>

#include "engine.h"
#include "onnx_input.h"

namespace faced {
namespace {

class OpenCvEngine : public Engine {
 public:
  explicit OpenCvEngine(const std::vector<char>& file) {
    try {
      const TensorInfo input = onnx_input(file);
      dims_ = input.shape;
      info_.input = {input.name, {dims_.begin() + 1, dims_.end()}};
      net_ = cv::dnn::readNetFromONNX(file.data(), file.size());
      net_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
      describe();
    } catch (const cv::Exception& error) {
      throw Failure(std::string("OpenCV cannot load the network: ") + error.what());
    }
  }

  const EngineInfo& info() const override { return info_; }

  void run(const float* input, int count, const std::vector<float*>& outputs) override {
    const std::size_t stride = info_.input.elements();
    for (int picture = 0; picture < count; picture++) {
      std::vector<cv::Mat> answers;
      try {
        // setInput copies, so the caller's bytes are only read.
        net_.setInput(cv::Mat(dims_, CV_32F, const_cast<float*>(input + static_cast<std::size_t>(picture) * stride)));
        net_.forward(answers, names_);
      } catch (const cv::Exception& error) {
        throw Failure(std::string("OpenCV could not run the network: ") + error.what());
      }
      for (std::size_t at = 0; at < answers.size(); at++) {
        const std::size_t elements = info_.outputs[at].elements();
        if (answers[at].total() != elements || answers[at].type() != CV_32F)
          throw Failure("the network answered another shape than at its first run");
        std::memcpy(outputs[at] + static_cast<std::size_t>(picture) * elements, answers[at].ptr<float>(),
                    elements * sizeof(float));
      }
    }
  }

 private:
  void describe() {
    info_.kind = engine_kind();
    info_.version = engine_version();
    for (const cv::String& name : net_.getUnconnectedOutLayersNames()) names_.push_back(name);
    // The shapes of the outputs show at a run.
    std::vector<float> zeros(info_.input.elements(), 0.0F);
    net_.setInput(cv::Mat(dims_, CV_32F, zeros.data()));
    std::vector<cv::Mat> answers;
    net_.forward(answers, names_);
    for (std::size_t at = 0; at < answers.size(); at++) {
      const cv::MatSize& size = answers[at].size;
      std::vector<int> shape;
      for (int dim = 1; dim < size.dims(); dim++) shape.push_back(size[dim]);
      info_.outputs.push_back({names_[at], shape});
    }
  }

  cv::dnn::Net net_;
  std::vector<int> dims_;
  std::vector<cv::String> names_;
  EngineInfo info_;
};

}  // namespace

std::string engine_version() { return CV_VERSION; }
const char* engine_kind() { return "opencv"; }

std::unique_ptr<Engine> open_engine(const std::vector<char>& file) {
  return std::unique_ptr<Engine>(new OpenCvEngine(file));
}

}  // namespace faced
