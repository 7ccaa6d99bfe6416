// One video source on a thread of its own. Nothing here knows of JavaScript.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>
#include <string>
#include <vector>

namespace faced {

struct GrabberSettings {
  std::string uri;
  int api = cv::CAP_ANY;
  // Pairs of property and value for VideoCapture::open; a backend refuses to open with one that it does not know.
  std::vector<int> openParameters;
  // Pairs that are set after opening; a device may refuse them.
  std::vector<std::pair<int, double>> wishes;
  // Every frame in order, the thread waits for the reader (files); else the newest frame replaces the one before it.
  bool everyFrame = false;
  // Hold each frame back until its time in the clip has come.
  bool paced = false;
  // Frames that come sooner after the last one are dropped before they are decoded. 0: none.
  double minIntervalMs = 0;
};

enum class GrabberState { opening, open, ended, failed, stopped };

struct Grabbed {
  cv::Mat image;  // 8 bits; 1, 3 (BGR) or 4 (BGRA) channels
  double seq = 0;
  double monotonicMs = 0;  // CLOCK_MONOTONIC when the frame was grabbed
  double wallMs = 0;       // since 1970
  double mediaMs = -1;     // place in the clip; -1 where frames come at their own time
};

struct GrabberStatus {
  GrabberState state;
  std::string problem;
  double received;
  double dropped;
  bool frameWaits;
  // The thread has let go of the device.
  bool done;
};

// The thread is detached and shares ownership: a driver that never comes back from a read costs a thread, not a hang.
class Grabber : public std::enable_shared_from_this<Grabber> {
 public:
  // `listener` is called on the thread, under the lock, at most once until acknowledge(); it must not call back.
  Grabber(GrabberSettings settings, std::function<void()> listener)
      : settings_(std::move(settings)), listener_(std::move(listener)) {}

  void start();
  // Asks the thread to end; returns at once.
  void stop();
  // After this the listener is not called any more.
  void mute();
  // True when the thread ended within the time.
  bool waitUntilDone(std::chrono::milliseconds limit);
  GrabberStatus acknowledge();
  // Swaps the waiting frame with `into`, whose memory is used again; false when none waits.
  bool take(Grabbed& into);

 private:
  void run();
  void grabAll(cv::VideoCapture& capture);
  bool isDue(double nowMs);
  bool waitForPace(cv::VideoCapture& capture);
  bool deliver(Grabbed& frame);
  void finish(GrabberState state, const std::string& problem);
  void signal();

  const GrabberSettings settings_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::function<void()> listener_;
  bool signalled_ = false;
  std::atomic<bool> stopping_{false};
  GrabberState state_ = GrabberState::opening;
  std::string problem_;
  Grabbed slot_;
  bool slotFull_ = false;
  double received_ = 0;
  double dropped_ = 0;
  bool done_ = false;
  // Of the thread alone.
  double nextDueMs_ = 0;
  double paceStartMs_ = -1;
};

}  // namespace faced
