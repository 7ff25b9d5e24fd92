// Two clocks in seconds: wall time, and CPU time of the process, all its threads (for compute
// shares on machines where ranks share cores, where wall time would count the neighbours' work
// too).
#pragma once
#include <time.h>

namespace gracemoe {

inline double clock_seconds(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
inline double wall_seconds() {
  return clock_seconds(CLOCK_MONOTONIC);
}
inline double process_cpu_seconds() {
  return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

}  // namespace gracemoe
