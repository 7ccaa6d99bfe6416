// The door between Node and OpenCV: core, imgproc, imgcodecs and videoio alone. Context-aware: every worker that loads it
// gets its own exports, and nothing here is shared between them but OpenCV itself.
#include <cstdlib>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <unistd.h>

#include "common.h"

namespace {

// Set for the whole process, once, before any stream is opened. What the user has set in the environment stands.
void quieten() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  // FFmpeg writes about every damaged packet to standard error, which is our log: AV_LOG_QUIET.
  setenv("OPENCV_FFMPEG_LOGLEVEL", "-8", 0);
  // RTSP over UDP loses packets on a busy Wi-Fi and cannot pass a firewall.
  setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp", 0);
  // Every caller is a thread of its own already; a pool under each call doubles the CPU time for little.
  cv::setNumThreads(1);
}

// Gives free memory back to the kernel, also what lies between memory in use, which free() alone never does.
void releaseFreeMemory(const Napi::CallbackInfo&) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

// Node waits for its threads at the end; one that hangs in a driver never comes.
void exitNow(const Napi::CallbackInfo& info) { _exit(info[0].ToNumber().Int32Value()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  static std::once_flag once;
  std::call_once(once, quieten);
  exports.Set("opencvVersion", CV_VERSION);
  faced::initImgproc(exports);
  faced::initCodec(exports);
  faced::initCapture(exports);
  faced::initWriter(exports);
  exports.Set("releaseFreeMemory", Napi::Function::New(env, releaseFreeMemory, "releaseFreeMemory"));
  exports.Set("exitNow", Napi::Function::New(env, exitNow, "exitNow"));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)
