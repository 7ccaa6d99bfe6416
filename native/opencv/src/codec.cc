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

// decode(bytes, maxPixels): { width, height, data } in BGR, upright (EXIF orientation applied); null when OpenCV cannot read it.
Napi::Value decode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto encoded = bytes(env, info[0], "bytes");
  const double maxPixels = finite(env, info[1], "maxPixels");
  if (encoded.ByteLength() == 0 || encoded.ByteLength() > static_cast<size_t>(INT_MAX)) return env.Null();
  const cv::Mat input(1, static_cast<int>(encoded.ByteLength()), CV_8U, encoded.Data());
  cv::Mat decoded;
  {
    const Quiet quiet;
    decoded = cv::imdecode(input, cv::IMREAD_COLOR);
  }
  if (decoded.empty() || decoded.type() != CV_8UC3) return env.Null();
  // The header said less than came out: a file that lies about itself.
  if (static_cast<double>(decoded.total()) > maxPixels) return env.Null();
  auto data = Napi::Uint8Array::New(env, decoded.total() * 3);
  decoded.copyTo(cv::Mat(decoded.rows, decoded.cols, CV_8UC3, data.Data()));
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
