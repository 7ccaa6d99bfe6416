// What every part of the addon shares: looking at arguments, and turning exceptions into JavaScript errors.
#pragma once

#include <napi.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <string>

#include "limits.h"

namespace faced {

inline int whole(const Napi::Env& env, const Napi::Value& value, const char* what, int low, int high) {
  if (!value.IsNumber()) throw Napi::TypeError::New(env, std::string(what) + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= low && number <= high) || number != static_cast<int>(number)) {
    throw Napi::RangeError::New(env, std::string(what) + " must be a whole number from " + std::to_string(low) + " to " +
                                         std::to_string(high));
  }
  return static_cast<int>(number);
}

inline double finite(const Napi::Env& env, const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) throw Napi::TypeError::New(env, std::string(what) + " must be a number");
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!std::isfinite(number)) throw Napi::RangeError::New(env, std::string(what) + " must be finite");
  return number;
}

inline std::string text(const Napi::Env& env, const Napi::Value& value, const char* what) {
  if (!value.IsString()) throw Napi::TypeError::New(env, std::string(what) + " must be a string");
  return value.As<Napi::String>().Utf8Value();
}

inline Napi::Uint8Array bytes(const Napi::Env& env, const Napi::Value& value, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throw Napi::TypeError::New(env, std::string(what) + " must be a Uint8Array");
  }
  return value.As<Napi::Uint8Array>();
}

// An Image of src/domain/frame.ts as a matrix over the same memory. A detached buffer has length 0 and is refused.
inline cv::Mat image(const Napi::Env& env, const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throw Napi::TypeError::New(env, std::string(what) + " must be an image");
  const auto object = value.As<Napi::Object>();
  const int width = whole(env, object.Get("width"), "width", 1, kMaxSide);
  const int height = whole(env, object.Get("height"), "height", 1, kMaxSide);
  const std::string format = text(env, object.Get("format"), "format");
  if (format != "bgr24" && format != "gray8") {
    throw Napi::TypeError::New(env, std::string(what) + ": format must be bgr24 or gray8 (is " + format + ")");
  }
  const int channels = format == "bgr24" ? 3 : 1;
  auto data = bytes(env, object.Get("data"), "data");
  const size_t expected = static_cast<size_t>(width) * height * channels;
  if (data.ByteLength() != expected) {
    throw Napi::RangeError::New(env, std::string(what) + ": data must have " + std::to_string(expected) + " bytes (has " +
                                         std::to_string(data.ByteLength()) + ")");
  }
  return cv::Mat(height, width, CV_8UC(channels), data.Data());
}

// Runs an exported function; what OpenCV or the library throws becomes a JavaScript error.
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return Function(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const cv::Exception& error) {
    throw Napi::Error::New(info.Env(), "OpenCV: " + error.err);
  } catch (const std::exception& error) {
    throw Napi::Error::New(info.Env(), error.what());
  }
}

template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
void exportFunction(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<guarded<Function>>(exports.Env(), name));
}

void initImgproc(Napi::Object exports);
void initCodec(Napi::Object exports);
void initCapture(Napi::Object exports);
void initWriter(Napi::Object exports);

}  // namespace faced
