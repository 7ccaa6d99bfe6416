#include "grabber.h"

#include <ctime>
#include <thread>

#include "limits.h"

namespace faced {
namespace {

// A camera that is waking up gives a few empty frames; one that goes on giving them is broken.
constexpr int kMostBadFrames = 30;

double clockMs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

bool isUsable(const cv::Mat& image) {
  return !image.empty() && image.dims == 2 && image.depth() == CV_8U && image.channels() != 2 && image.channels() <= 4 &&
         image.cols <= kMaxSide && image.rows <= kMaxSide;
}

}  // namespace

void Grabber::start() {
  std::thread([self = shared_from_this()] { self->run(); }).detach();
}

void Grabber::stop() {
  const std::lock_guard<std::mutex> hold(lock_);
  stopping_ = true;
  changed_.notify_all();
}

void Grabber::mute() {
  const std::lock_guard<std::mutex> hold(lock_);
  listener_ = nullptr;
}

bool Grabber::waitUntilDone(std::chrono::milliseconds limit) {
  std::unique_lock<std::mutex> hold(lock_);
  return changed_.wait_for(hold, limit, [this] { return done_; });
}

GrabberStatus Grabber::acknowledge() {
  const std::lock_guard<std::mutex> hold(lock_);
  signalled_ = false;
  return {stopping_ ? GrabberState::stopped : state_, problem_, received_, dropped_, slotFull_ && !stopping_, done_};
}

bool Grabber::take(Grabbed& into) {
  const std::lock_guard<std::mutex> hold(lock_);
  if (!slotFull_ || stopping_) return false;
  std::swap(slot_, into);
  slotFull_ = false;
  changed_.notify_all();
  return true;
}

void Grabber::run() {
  {
    cv::VideoCapture capture;
    try {
      if (stopping_ || !capture.open(settings_.uri, settings_.api, settings_.openParameters)) {
        finish(GrabberState::failed, "it could not be opened");
      } else {
        for (const auto& [property, value] : settings_.wishes) capture.set(property, value);
        grabAll(capture);
      }
    } catch (const cv::Exception& error) {
      finish(GrabberState::failed, error.err);
    } catch (const std::exception& error) {
      finish(GrabberState::failed, error.what());
    }
    // The device is let go here, before done_ is said.
  }
  const std::lock_guard<std::mutex> hold(lock_);
  done_ = true;
  changed_.notify_all();
  signal();
}

void Grabber::grabAll(cv::VideoCapture& capture) {
  {
    const std::lock_guard<std::mutex> hold(lock_);
    state_ = GrabberState::open;
    signal();
  }
  Grabbed frame;
  int bad = 0;
  double seq = 0;
  while (!stopping_) {
    if (!capture.grab()) return finish(GrabberState::ended, "");
    // A clip at its own pace stands for a camera: its frame is captured when its time has come, not when it was read.
    if (settings_.paced && !waitForPace(capture)) return;
    frame.monotonicMs = clockMs(CLOCK_MONOTONIC);
    frame.wallMs = clockMs(CLOCK_REALTIME);
    frame.seq = ++seq;
    if (settings_.everyFrame) frame.mediaMs = capture.get(cv::CAP_PROP_POS_MSEC);
    if (!isDue(frame.monotonicMs)) {
      const std::lock_guard<std::mutex> hold(lock_);
      received_++;
      dropped_++;
      continue;
    }
    if (!capture.retrieve(frame.image) || !isUsable(frame.image)) {
      if (++bad >= kMostBadFrames) return finish(GrabberState::failed, "it delivers frames that are empty or not pictures");
      continue;
    }
    bad = 0;
    if (!deliver(frame)) return;
  }
}

bool Grabber::isDue(double nowMs) {
  if (settings_.minIntervalMs <= 0) return true;
  if (nowMs < nextDueMs_) return false;
  // Steady over time, without a burst after a pause.
  const double next = nextDueMs_ + settings_.minIntervalMs;
  nextDueMs_ = next > nowMs ? next : nowMs + settings_.minIntervalMs;
  return true;
}

// False when the capture was stopped meanwhile.
bool Grabber::waitForPace(cv::VideoCapture& capture) {
  const double position = capture.get(cv::CAP_PROP_POS_MSEC);
  const double now = clockMs(CLOCK_MONOTONIC);
  if (paceStartMs_ < 0) paceStartMs_ = now - position;
  const double wait = std::min(paceStartMs_ + position - now, 10e3);
  std::unique_lock<std::mutex> hold(lock_);
  return !changed_.wait_for(hold, std::chrono::duration<double, std::milli>(std::max(wait, 0.0)),
                            [this] { return stopping_.load(); });
}

// False when the capture was stopped meanwhile.
bool Grabber::deliver(Grabbed& frame) {
  std::unique_lock<std::mutex> hold(lock_);
  received_++;
  if (settings_.everyFrame) changed_.wait(hold, [this] { return !slotFull_ || stopping_; });
  if (stopping_) return false;
  if (slotFull_) dropped_++;
  std::swap(slot_, frame);
  slotFull_ = true;
  signal();
  return true;
}

void Grabber::finish(GrabberState state, const std::string& problem) {
  const std::lock_guard<std::mutex> hold(lock_);
  state_ = state;
  problem_ = problem;
  signal();
}

void Grabber::signal() {
  if (signalled_ || !listener_) return;
  signalled_ = true;
  listener_();
}

}  // namespace faced
