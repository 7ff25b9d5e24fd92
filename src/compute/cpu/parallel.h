// The only place that starts threads for the kernels.
#pragma once
#include <cstddef>
#if defined(__SANITIZE_THREAD__)
#include <atomic>
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace gracemoe {

// Work below this many multiply-adds (about 10 us on one core) is not worth waking threads for.
constexpr double kParallelWork = 5e5;

// body(i, slot) for i in 0..items-1, in any order, on up to `threads` threads, of which slot
// (0..threads-1) is the one that runs it; `work` is the whole cost in multiply-adds. The body must
// not throw, and must write only what belongs to i. The team always has `threads` members: libgomp
// ends and restarts its threads whenever the size of a team changes.
template <class Body>
void parallel_for(int threads, std::size_t items, double work, const Body& body) {
  if (threads <= 1 || items <= 1 || work < kParallelWork) {
    for (std::size_t i = 0; i < items; ++i) body(i, 0);
    return;
  }
#if defined(__SANITIZE_THREAD__)
  // libgomp's barriers are invisible to the thread sanitizer, which would report every region as a
  // race.
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      for (std::size_t i = next++; i < items; i = next++) body(i, t);
    });
  }
  for (auto& member : team) member.join();
#else
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::size_t i = 0; i < items; ++i) body(i, omp_get_thread_num());
#endif
}

}  // namespace gracemoe
