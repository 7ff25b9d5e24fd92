#include "compute/host_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "support/error_of.h"

namespace gracemoe {
namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;

// Bytes of the mapping at `data` that lie in huge pages, as /proc/self/smaps tells.
std::size_t in_huge_pages(const std::byte* data) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(data);
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long long first = 0, last = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx ", &first, &last) == 2)
      inside = first <= wanted && wanted < last;
    std::size_t kilobytes = 0;
    if (inside && std::sscanf(line.c_str(), "ShmemPmdMapped: %zu kB", &kilobytes) == 1)
      return kilobytes << 10;
  }
  return 0;
}

// Whether this system makes a huge page of a file's small ones when asked to.
bool system_collapses() {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1
  const int file = memfd_create("probe", MFD_CLOEXEC);
  if (ftruncate(file, kHuge) != 0) return false;
  void* room = mmap(nullptr, 2 * kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const auto place = (reinterpret_cast<std::uintptr_t>(room) + kHuge - 1) / kHuge * kHuge;
  auto* page =
      static_cast<std::byte*>(mmap(reinterpret_cast<void*>(place), kHuge, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_FIXED, file, 0));
  close(file);
  *page = std::byte{1};
  const bool works = madvise(page, kHuge, kCollapse) == 0 && in_huge_pages(page) == kHuge;
  munmap(room, 2 * kHuge);
  return works;
}

TEST(HostMemory, LargePiecesLieInHugePages) {
  if (!system_collapses()) GTEST_SKIP() << "this system gives files in memory no huge pages";
  HostMemory memory(memfd_create("test", MFD_CLOEXEC), 0, 1);
  EXPECT_EQ(in_huge_pages(memory.take(4 * kHuge).data), 4 * kHuge);
  EXPECT_EQ(in_huge_pages(memory.take(5 * kHuge + 4097).data), 5 * kHuge);
}

// Whether or not the system has huge pages for it: what one member fills the other reads, where
// huge pages could be, and pieces do not touch each other.
TEST(HostMemory, LargePiecesAreTheSameForAllMembers) {
  const int file = memfd_create("test", MFD_CLOEXEC);
  HostMemory first(dup(file), 0, 2), second(file, 1, 2);
  const std::vector<std::size_t> sizes = {5 * kHuge + 4097, 70000, 4 * kHuge, 4 * kHuge - 1};
  std::vector<std::byte*> read;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto a = first.take(sizes[i]), b = second.take(sizes[i]);
    EXPECT_EQ(a.mine, i % 2 == 0);
    EXPECT_NE(a.mine, b.mine);
    if (sizes[i] >= 4 * kHuge) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data) % kHuge, 0U);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data) % kHuge, 0U);
    }
    EXPECT_TRUE(
        std::all_of(b.data, b.data + sizes[i], [](std::byte x) { return x == std::byte{}; }));
    std::fill_n(a.mine ? a.data : b.data, sizes[i], static_cast<std::byte>(i + 1));
    read.push_back(a.mine ? b.data : a.data);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i)
    EXPECT_EQ(std::count(read[i], read[i] + sizes[i], static_cast<std::byte>(i + 1)),
              static_cast<std::ptrdiff_t>(sizes[i]));
}

TEST(HostMemory, AFileSizeLimitIsToldAndKillsNobody) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit low{1 << 20, old.rlim_max};
  HostMemory memory(memfd_create("test", MFD_CLOEXEC), 0, 1);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  EXPECT_TRUE(memory.take(1 << 19).mine);
  EXPECT_THAT(error_of([&] { memory.take(1 << 20); }, ErrorCategory::kUsage),
              testing::StartsWith("file size limit (ulimit -f): got 1048576 bytes, wanted at least "
                                  "1572864, for weights"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
}

}  // namespace
}  // namespace gracemoe
