// Frames into a file: Motion JPEG in AVI, written by OpenCV itself, so that it works without FFmpeg or GStreamer.
#include <opencv2/videoio.hpp>

#include "common.h"

namespace faced {
namespace {

class Writer : public Napi::ObjectWrap<Writer> {
 public:
  // new Writer(path, width, height, fps)
  explicit Writer(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Writer>(info) {
    const Napi::Env env = info.Env();
    const std::string path = text(env, info[0], "path");
    size_ = cv::Size(whole(env, info[1], "width", 1, kMaxSide), whole(env, info[2], "height", 1, kMaxSide));
    const double fps = finite(env, info[3], "fps");
    if (!(fps > 0 && fps <= 1000)) throw Napi::RangeError::New(env, "fps must be more than 0 and at most 1000");
    const int codec = cv::VideoWriter::fourcc('M', 'J', 'P', 'G');
    bool opened = false;
    try {
      opened = writer_.open(path, cv::CAP_OPENCV_MJPEG, codec, fps, size_, true);
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, error.what());
    }
    if (!opened) {
      throw Napi::Error::New(env, "the video file could not be opened for writing");
    }
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Writer", {InstanceMethod<&Writer::write>("write"), InstanceMethod<&Writer::close>("close")});
  }

 private:
  Napi::Value write(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!writer_.isOpened()) throw Napi::Error::New(env, "the video file is closed");
    const cv::Mat frame = image(env, info[0], "image");
    if (frame.size() != size_ || frame.channels() != 3) {
      throw Napi::RangeError::New(env, "the image must be bgr24 of the size of the video");
    }
    try {
      writer_.write(frame);
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, error.what());
    }
    return env.Undefined();
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    writer_.release();
    return info.Env().Undefined();
  }

  cv::VideoWriter writer_;
  cv::Size size_;
};

}  // namespace

void initWriter(Napi::Object exports) { exports.Set("Writer", Writer::define(exports.Env())); }

}  // namespace faced
