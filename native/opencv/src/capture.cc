// A Grabber as a JavaScript object. The thread never touches JavaScript: it signals, and the object is asked.
#include <opencv2/imgproc.hpp>

#include "common.h"
#include "grabber.h"

namespace faced {
namespace {

// How long the end of a worker or of the process waits for a read to return, so that OpenCV is not torn down under it.
constexpr std::chrono::milliseconds kGrace(300);

const char* nameOf(GrabberState state) {
  switch (state) {
    case GrabberState::opening: return "opening";
    case GrabberState::open: return "open";
    case GrabberState::ended: return "ended";
    case GrabberState::failed: return "failed";
    case GrabberState::stopped: return "stopped";
  }
  return "failed";
}

int apiOf(const Napi::Env& env, const std::string& name) {
  if (name == "any") return cv::CAP_ANY;
  if (name == "ffmpeg") return cv::CAP_FFMPEG;
  if (name == "gstreamer") return cv::CAP_GSTREAMER;
  if (name == "v4l2") return cv::CAP_V4L2;
  throw Napi::TypeError::New(env, "api must be any, ffmpeg, gstreamer or v4l2 (is " + name + ")");
}

double numberOr(const Napi::Env& env, const Napi::Object& options, const char* key, double fallback) {
  const Napi::Value value = options.Get(key);
  return value.IsUndefined() ? fallback : finite(env, value, key);
}

GrabberSettings settingsOf(const Napi::Env& env, const Napi::Value& value) {
  if (!value.IsObject()) throw Napi::TypeError::New(env, "options must be an object");
  const auto options = value.As<Napi::Object>();
  GrabberSettings settings;
  settings.uri = text(env, options.Get("uri"), "uri");
  settings.api = apiOf(env, text(env, options.Get("api"), "api"));
  const std::string delivery = text(env, options.Get("delivery"), "delivery");
  if (delivery != "newest" && delivery != "every" && delivery != "paced") {
    throw Napi::TypeError::New(env, "delivery must be newest, every or paced (is " + delivery + ")");
  }
  settings.everyFrame = delivery == "every";
  settings.paced = delivery == "paced";
  const double maxFps = numberOr(env, options, "maxFps", 0);
  settings.minIntervalMs = maxFps > 0 ? 1000 / maxFps : 0;
  if (settings.api == cv::CAP_FFMPEG) {
    settings.openParameters = {cv::CAP_PROP_OPEN_TIMEOUT_MSEC,
                               whole(env, options.Get("openTimeoutMs"), "openTimeoutMs", 1, 3600000),
                               cv::CAP_PROP_READ_TIMEOUT_MSEC,
                               whole(env, options.Get("readTimeoutMs"), "readTimeoutMs", 1, 3600000)};
  }
  const Napi::Value fourcc = options.Get("fourcc");
  if (!fourcc.IsUndefined()) {
    const std::string code = text(env, fourcc, "fourcc");
    if (code.size() != 4) throw Napi::TypeError::New(env, "fourcc must have four characters");
    settings.wishes.emplace_back(cv::CAP_PROP_FOURCC, cv::VideoWriter::fourcc(code[0], code[1], code[2], code[3]));
  }
  for (const auto& [key, property] : {std::pair("width", cv::CAP_PROP_FRAME_WIDTH),
                                      std::pair("height", cv::CAP_PROP_FRAME_HEIGHT), std::pair("fps", cv::CAP_PROP_FPS)}) {
    const double wish = numberOr(env, options, key, 0);
    if (wish > 0) settings.wishes.emplace_back(property, wish);
  }
  return settings;
}

class Capture : public Napi::ObjectWrap<Capture> {
 public:
  // new Capture(options, onChange): begins to open at once.
  explicit Capture(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Capture>(info), env_(info.Env()) {
    const Napi::Env env = info.Env();
    GrabberSettings settings = settingsOf(env, info[0]);
    if (!info[1].IsFunction()) throw Napi::TypeError::New(env, "onChange must be a function");
    signal_ = Napi::ThreadSafeFunction::New(env, info[1].As<Napi::Function>(), "faced capture", 0, 1);
    grabber_ = std::make_shared<Grabber>(std::move(settings), [signal = signal_] { signal.NonBlockingCall(); });
    // Hooks run in reverse order: this one before the one that frees the thread-safe function.
    napi_add_env_cleanup_hook(env, atEnvironmentEnd, this);
    hooked_ = true;
    try {
      grabber_->start();
    } catch (const std::exception& error) {
      letGo();
      throw Napi::Error::New(env, error.what());
    }
  }

  ~Capture() override { letGo(); }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Capture",
                       {InstanceMethod<&Capture::status>("status"), InstanceMethod<&Capture::take>("take"),
                        InstanceMethod<&Capture::readInto>("readInto"), InstanceMethod<&Capture::stop>("stop"),
                        InstanceMethod<&Capture::close>("close")});
  }

 private:
  static void atEnvironmentEnd(void* data) {
    auto* self = static_cast<Capture*>(data);
    self->hooked_ = false;
    self->grabber_->mute();
    self->grabber_->stop();
    self->grabber_->waitUntilDone(kGrace);
    // Node frees it now.
    self->signal_ = Napi::ThreadSafeFunction();
  }

  void letGo() {
    if (!hooked_) return;
    hooked_ = false;
    napi_remove_env_cleanup_hook(env_, atEnvironmentEnd, this);
    grabber_->mute();
    grabber_->stop();
    signal_.Release();
  }

  // status(): what has happened; the next change calls onChange again.
  Napi::Value status(const Napi::CallbackInfo& info) {
    const GrabberStatus status = grabber_->acknowledge();
    auto result = Napi::Object::New(info.Env());
    result.Set("state", nameOf(status.state));
    result.Set("problem", status.problem);
    result.Set("received", status.received);
    result.Set("dropped", status.dropped);
    result.Set("frameWaits", status.frameWaits);
    result.Set("done", status.done);
    return result;
  }

  // take(): { width, height, seq, monotonicMs, wallMs, mediaMs (-1: none) } of the waiting frame, which readInto() then gives; null without one.
  Napi::Value take(const Napi::CallbackInfo& info) {
    if (!grabber_->take(taken_)) return info.Env().Null();
    auto result = Napi::Object::New(info.Env());
    result.Set("width", taken_.image.cols);
    result.Set("height", taken_.image.rows);
    result.Set("seq", taken_.seq);
    result.Set("monotonicMs", taken_.monotonicMs);
    result.Set("wallMs", taken_.wallMs);
    result.Set("mediaMs", taken_.mediaMs);
    return result;
  }

  // readInto(image): the frame taken last, as bgr24.
  Napi::Value readInto(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (taken_.image.empty()) throw Napi::Error::New(env, "no frame was taken");
    cv::Mat target = image(env, info[0], "image");
    if (target.size() != taken_.image.size() || target.channels() != 3) {
      throw Napi::RangeError::New(env, "the image must be bgr24 of the size of the frame");
    }
    try {
      const int from = taken_.image.channels();
      if (from == 3) taken_.image.copyTo(target);
      else cv::cvtColor(taken_.image, target, from == 1 ? cv::COLOR_GRAY2BGR : cv::COLOR_BGRA2BGR);
    } catch (const std::exception& error) {
      throw Napi::Error::New(env, error.what());
    }
    return env.Undefined();
  }

  // stop(): asks the thread to end; onChange comes when it has let go of the device.
  Napi::Value stop(const Napi::CallbackInfo& info) {
    grabber_->stop();
    return info.Env().Undefined();
  }

  // close(): no more onChange, and the event loop is not held any more, whether the thread has ended or not.
  Napi::Value close(const Napi::CallbackInfo& info) {
    letGo();
    return info.Env().Undefined();
  }

  const napi_env env_;
  Napi::ThreadSafeFunction signal_;
  std::shared_ptr<Grabber> grabber_;
  Grabbed taken_;
  bool hooked_ = false;
};

}  // namespace

void initCapture(Napi::Object exports) { exports.Set("Capture", Capture::define(exports.Env())); }

}  // namespace faced
