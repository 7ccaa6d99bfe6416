// Comes before better-sqlite3's own C++ (-include), whose statements and databases are node::ObjectWrap.
// From 24.19 on an ObjectWrap asks Node.js to destroy it at the end, and takes that back when it is destroyed before: which
// aborts the whole process where the garbage collector does it while no JavaScript runs. Without that it is the ObjectWrap
// of every Node.js before; better-sqlite3 closes its databases at the end by itself. It goes with better-sqlite3 13.
#include <node.h>
#define AddEnvironmentCleanupHook(...) static_cast<void>(0)
#define RemoveEnvironmentCleanupHook(...) static_cast<void>(0)
#include <node_object_wrap.h>
#undef AddEnvironmentCleanupHook
#undef RemoveEnvironmentCleanupHook
