// Encoded pictures to pixels and back. The caller has checked the header against its limits before decode() is called.
#include <cstdio>
#include <iostream>
#include <mutex>
#include <opencv2/imgcodecs.hpp>

#include "common.h"

namespace faced {
namespace {

// libpng, libjpeg and imdecode write about a damaged file to C's and C++'s standard error, which is our log; no setting of
// OpenCV's stops them. Node and the logger write to the file descriptor, so nothing of theirs is lost meanwhile.
class Quiet {
 public:
  Quiet() : hold_(lock()), cpp_(std::cerr.rdbuf(nothing())), c_(stderr) {
#ifdef __GLIBC__
    static FILE* const sink = std::fopen("/dev/null", "we");
    if (sink != nullptr) stderr = sink;
#endif
  }
  ~Quiet() {
#ifdef __GLIBC__
    stderr = c_;
#endif
    std::cerr.rdbuf(cpp_);
    std::cerr.clear();
  }

 private:
  static std::mutex& lock() {
    static std::mutex mutex;
    return mutex;
  }
  static std::streambuf* nothing() {
    static struct : std::streambuf {
      int overflow(int character) override { return character; }
    } buffer;
    return &buffer;
  }

  const std::lock_guard<std::mutex> hold_;
  std::streambuf* const cpp_;
  FILE* const c_;
};

// Gives a matrix memory that is there already, once and where it fits; else what OpenCV would take. OpenCV's imdecode leaves a
// matrix that it was handed as it was when it cannot read a picture, so a matrix over that memory would not do.
class Into : public cv::MatAllocator {
 public:
  Into(uchar* memory, size_t size) : memory_(memory), size_(size) {}

  cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, size_t* step, cv::AccessFlag flags,
                         cv::UMatUsageFlags usage) const override {
    size_t needed = CV_ELEM_SIZE(type);
    for (int i = dims - 1; i >= 0; i--) {
      if (step) step[i] = needed;
      needed *= static_cast<size_t>(sizes[i]);
    }
    if (data || used_ || needed != size_) {
      return cv::Mat::getStdAllocator()->allocate(dims, sizes, type, data, step, flags, usage);
    }
    used_ = true;
    auto* held = new cv::UMatData(this);
    held->data = held->origdata = memory_;
    held->size = size_;
    held->flags |= cv::UMatData::USER_ALLOCATED;
    return held;
  }
  bool allocate(cv::UMatData* held, cv::AccessFlag, cv::UMatUsageFlags) const override { return held != nullptr; }
  void deallocate(cv::UMatData* held) const override { delete held; }

 private:
  uchar* const memory_;
  const size_t size_;
  mutable bool used_ = false;
};

// decode(bytes, width, height): { width, height, data } in BGR, upright (EXIF orientation applied); null when OpenCV cannot
// read it or when it is not of the size that its header (as stored) told.
Napi::Value decode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto encoded = bytes(env, info[0], "bytes");
  const int width = whole(env, info[1], "width", 1, INT_MAX);
  const int height = whole(env, info[2], "height", 1, INT_MAX);
  if (encoded.ByteLength() == 0 || encoded.ByteLength() > static_cast<size_t>(INT_MAX)) return env.Null();
  const cv::Mat input(1, static_cast<int>(encoded.ByteLength()), CV_8U, encoded.Data());
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  auto data = Napi::Uint8Array::New(env, pixels * 3);
  // Only a picture that lies on its side is turned through a second memory.
  Into answer(data.Data(), pixels * 3);
  cv::Mat decoded;
  decoded.allocator = &answer;
  {
    const Quiet quiet;
    cv::imdecode(input, cv::IMREAD_COLOR, &decoded);
  }
  if (decoded.empty() || decoded.type() != CV_8UC3 || decoded.total() != pixels) return env.Null();
  if (decoded.data != data.Data()) decoded.copyTo(cv::Mat(decoded.rows, decoded.cols, CV_8UC3, data.Data()));
  auto result = Napi::Object::New(env);
  result.Set("width", decoded.cols);
  result.Set("height", decoded.rows);
  result.Set("data", data);
  return result;
}

// encodeJpeg(image, quality)
Napi::Value encodeJpeg(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cv::Mat source = image(env, info[0], "image");
  const int quality = whole(env, info[1], "quality", 1, 100);
  std::vector<uchar> encoded;
  if (!cv::imencode(".jpg", source, encoded, {cv::IMWRITE_JPEG_QUALITY, quality})) {
    throw Napi::Error::New(env, "the image could not be encoded");
  }
  auto data = Napi::Uint8Array::New(env, encoded.size());
  std::copy(encoded.begin(), encoded.end(), data.Data());
  return data;
}

}  // namespace

void initCodec(Napi::Object exports) {
  exportFunction<decode>(exports, "decode");
  exportFunction<encodeJpeg>(exports, "encodeJpeg");
}

}  // namespace faced
