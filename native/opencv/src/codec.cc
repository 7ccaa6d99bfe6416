// Encoded pictures to pixels and back. The caller has checked the header against its limits before decode() is called.
#include <opencv2/imgcodecs.hpp>

#include "common.h"

namespace faced {
namespace {

// decode(bytes, maxPixels): { width, height, data } in BGR, upright (EXIF orientation applied); null when OpenCV cannot read it.
Napi::Value decode(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto encoded = bytes(env, info[0], "bytes");
  const double maxPixels = finite(env, info[1], "maxPixels");
  if (encoded.ByteLength() == 0 || encoded.ByteLength() > static_cast<size_t>(INT_MAX)) return env.Null();
  const cv::Mat input(1, static_cast<int>(encoded.ByteLength()), CV_8U, encoded.Data());
  const cv::Mat decoded = cv::imdecode(input, cv::IMREAD_COLOR);
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
