// Resize, colour, warp, rotate, sharpness: each reads one image and writes into memory that the caller owns.
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "common.h"

namespace faced {
namespace {

// Two images that are written through must not share bytes: OpenCV would read what it has just written.
void requireApart(const Napi::Env& env, const cv::Mat& source, const cv::Mat& target) {
  if (source.data < target.dataend && target.data < source.dataend) {
    throw Napi::Error::New(env, "source and target share memory");
  }
}

void requireSameFormat(const Napi::Env& env, const cv::Mat& source, const cv::Mat& target) {
  if (source.type() != target.type()) throw Napi::TypeError::New(env, "source and target have different formats");
}

// OpenCV reallocates an output that does not fit; then the caller's memory would silently stay as it was.
void requireInPlace(const Napi::Env& env, const cv::Mat& target, const uchar* memory) {
  if (target.data != memory) throw Napi::Error::New(env, "the result does not fit the target");
}

int interpolationOf(const Napi::Env& env, const std::string& name) {
  if (name == "nearest") return cv::INTER_NEAREST;
  if (name == "linear") return cv::INTER_LINEAR;
  if (name == "area") return cv::INTER_AREA;
  throw Napi::TypeError::New(env, "interpolation must be nearest, linear or area (is " + name + ")");
}

bool isWhole(const cv::Rect2d& box) {
  return box.x == std::floor(box.x) && box.y == std::floor(box.y) && box.width == std::floor(box.width) &&
         box.height == std::floor(box.height);
}

// The part of `source` under `box`, with `fill` where the box leaves the source.
cv::Mat cutOut(const cv::Mat& source, const cv::Rect& box, const cv::Scalar& fill) {
  const cv::Rect inside = box & cv::Rect(0, 0, source.cols, source.rows);
  if (inside == box) return source(box);
  cv::Mat patch(box.height, box.width, source.type(), fill);
  if (!inside.empty()) source(inside).copyTo(patch(inside - box.tl()));
  return patch;
}

// resizeInto(source, target, x, y, width, height, interpolation, fill)
Napi::Value resizeInto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cv::Mat source = image(env, info[0], "source");
  cv::Mat target = image(env, info[1], "target");
  requireSameFormat(env, source, target);
  requireApart(env, source, target);
  const cv::Rect2d roi(finite(env, info[2], "roi.x"), finite(env, info[3], "roi.y"), finite(env, info[4], "roi.width"),
                       finite(env, info[5], "roi.height"));
  if (!(roi.width > 0 && roi.height > 0) || roi.width > kMaxSide || roi.height > kMaxSide ||
      std::abs(roi.x) > 4.0 * kMaxSide || std::abs(roi.y) > 4.0 * kMaxSide) {
    throw Napi::RangeError::New(env, "roi is empty or far too large");
  }
  const int interpolation = interpolationOf(env, text(env, info[6], "interpolation"));
  const cv::Scalar fill = cv::Scalar::all(whole(env, info[7], "fill", 0, 255));
  const uchar* memory = target.data;

  const cv::Rect rounded(static_cast<int>(std::lround(roi.x)), static_cast<int>(std::lround(roi.y)),
                         std::max(1, static_cast<int>(std::lround(roi.width))),
                         std::max(1, static_cast<int>(std::lround(roi.height))));
  const bool inside = (rounded & cv::Rect(0, 0, source.cols, source.rows)) == rounded;
  if (interpolation == cv::INTER_AREA || (inside && isWhole(roi))) {
    cv::resize(cutOut(source, rounded, fill), target, target.size(), 0, 0, interpolation);
  } else {
    // Pixel centres: target (u, v) looks at source x + (u + 0.5) * scale - 0.5, as cv::resize does.
    const double sx = roi.width / target.cols;
    const double sy = roi.height / target.rows;
    const cv::Matx23d toSource(sx, 0, roi.x + 0.5 * sx - 0.5, 0, sy, roi.y + 0.5 * sy - 0.5);
    cv::warpAffine(source, target, toSource, target.size(), interpolation | cv::WARP_INVERSE_MAP, cv::BORDER_CONSTANT,
                   fill);
  }
  requireInPlace(env, target, memory);
  return env.Undefined();
}

// convertInto(source, target): between bgr24 and gray8, or a copy.
Napi::Value convertInto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cv::Mat source = image(env, info[0], "source");
  cv::Mat target = image(env, info[1], "target");
  requireApart(env, source, target);
  if (source.size() != target.size()) throw Napi::RangeError::New(env, "source and target have different sizes");
  const uchar* memory = target.data;
  if (source.type() == target.type()) source.copyTo(target);
  else cv::cvtColor(source, target, source.channels() == 3 ? cv::COLOR_BGR2GRAY : cv::COLOR_GRAY2BGR);
  requireInPlace(env, target, memory);
  return env.Undefined();
}

// warpAffineInto(source, target, matrix, border, fill): matrix maps source to target.
Napi::Value warpAffineInto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cv::Mat source = image(env, info[0], "source");
  cv::Mat target = image(env, info[1], "target");
  requireSameFormat(env, source, target);
  requireApart(env, source, target);
  if (!info[2].IsTypedArray() || info[2].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array ||
      info[2].As<Napi::TypedArray>().ElementLength() != 6) {
    throw Napi::TypeError::New(env, "matrix must be a Float64Array of 6");
  }
  const double* values = info[2].As<Napi::Float64Array>().Data();
  const cv::Matx23d matrix(values[0], values[1], values[2], values[3], values[4], values[5]);
  for (int i = 0; i < 6; i++) {
    if (!std::isfinite(matrix.val[i])) throw Napi::RangeError::New(env, "matrix must be finite");
  }
  if (std::abs(matrix(0, 0) * matrix(1, 1) - matrix(0, 1) * matrix(1, 0)) < 1e-12) {
    throw Napi::RangeError::New(env, "matrix has no inverse");
  }
  const std::string border = text(env, info[3], "border");
  if (border != "constant" && border != "replicate") {
    throw Napi::TypeError::New(env, "border must be constant or replicate (is " + border + ")");
  }
  const cv::Scalar fill = cv::Scalar::all(whole(env, info[4], "fill", 0, 255));
  const uchar* memory = target.data;
  cv::warpAffine(source, target, matrix, target.size(), cv::INTER_LINEAR,
                 border == "constant" ? cv::BORDER_CONSTANT : cv::BORDER_REPLICATE, fill);
  requireInPlace(env, target, memory);
  return env.Undefined();
}

// rotateInto(source, target, degrees): clockwise.
Napi::Value rotateInto(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const cv::Mat source = image(env, info[0], "source");
  cv::Mat target = image(env, info[1], "target");
  requireSameFormat(env, source, target);
  requireApart(env, source, target);
  const int degrees = whole(env, info[2], "degrees", 90, 270);
  if (degrees % 90 != 0) throw Napi::RangeError::New(env, "degrees must be 90, 180 or 270");
  const cv::Size expected = degrees == 180 ? source.size() : cv::Size(source.rows, source.cols);
  if (target.size() != expected) {
    throw Napi::RangeError::New(env, "target must be " + std::to_string(expected.width) + "x" +
                                         std::to_string(expected.height));
  }
  const uchar* memory = target.data;
  cv::rotate(source, target,
             degrees == 90    ? cv::ROTATE_90_CLOCKWISE
             : degrees == 180 ? cv::ROTATE_180
                              : cv::ROTATE_90_COUNTERCLOCKWISE);
  requireInPlace(env, target, memory);
  return env.Undefined();
}

// laplacianVariance(image): variance of the 3x3 Laplacian (0 1 0; 1 -4 1; 0 1 0) over grey levels.
Napi::Value laplacianVariance(const Napi::CallbackInfo& info) {
  const cv::Mat source = image(info.Env(), info[0], "image");
  cv::Mat grey = source;
  if (source.channels() == 3) {
    grey = cv::Mat();
    cv::cvtColor(source, grey, cv::COLOR_BGR2GRAY);
  }
  cv::Mat edges;
  cv::Laplacian(grey, edges, CV_16S, 1);
  cv::Scalar mean, deviation;
  cv::meanStdDev(edges, mean, deviation);
  return Napi::Number::New(info.Env(), deviation[0] * deviation[0]);
}

std::vector<int> wholes(const Napi::Env& env, const Napi::Value& value, const char* what, uint32_t count) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() != count) {
    throw Napi::TypeError::New(env, std::string(what) + " must be a list of " + std::to_string(count));
  }
  const auto list = value.As<Napi::Array>();
  std::vector<int> numbers;
  for (uint32_t i = 0; i < count; i++) numbers.push_back(whole(env, list.Get(i), what, -1000000, 1000000));
  return numbers;
}

// drawBox(image, [x, y, width, height], [b, g, r], text): a frame, and ASCII on a bar of its colour.
Napi::Value drawBox(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  cv::Mat target = image(env, info[0], "image");
  const auto box = wholes(env, info[1], "box", 4);
  const auto bgr = wholes(env, info[2], "colour", 3);
  const std::string words = text(env, info[3], "text");
  if (target.channels() != 3) throw Napi::TypeError::New(env, "image must be bgr24");
  const cv::Scalar colour(bgr[0], bgr[1], bgr[2]);
  const cv::Rect frame(box[0], box[1], std::max(1, box[2]), std::max(1, box[3]));
  cv::rectangle(target, frame, colour, 2, cv::LINE_AA);
  if (words.empty()) return env.Undefined();
  const int font = cv::FONT_HERSHEY_SIMPLEX;
  const double scale = 0.5;
  int below = 0;
  const cv::Size size = cv::getTextSize(words, font, scale, 1, &below);
  const int bar = size.height + below + 6;
  const int left = std::max(0, std::min(frame.x, target.cols - size.width - 8));
  const int top = frame.y >= bar ? frame.y - bar : std::min(target.rows - bar, frame.y + frame.height);
  cv::rectangle(target, cv::Rect(left, top, size.width + 8, bar), colour, cv::FILLED);
  cv::putText(target, words, cv::Point(left + 4, top + size.height + 3), font, scale, cv::Scalar(0, 0, 0), 1, cv::LINE_AA);
  return env.Undefined();
}

}  // namespace

void initImgproc(Napi::Object exports) {
  exportFunction<resizeInto>(exports, "resizeInto");
  exportFunction<convertInto>(exports, "convertInto");
  exportFunction<warpAffineInto>(exports, "warpAffineInto");
  exportFunction<rotateInto>(exports, "rotateInto");
  exportFunction<drawBox>(exports, "drawBox");
  exportFunction<laplacianVariance>(exports, "laplacianVariance");
}

}  // namespace faced
