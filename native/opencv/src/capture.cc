#include "common.h"
namespace faced {
void initCapture(Napi::Object) {}
}  // namespace faced
