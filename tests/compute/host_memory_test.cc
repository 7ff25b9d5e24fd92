#include "compute/host_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/error_of.h"

namespace gracemoe {
namespace {

// Whether or not the system has huge pages for it: what one member fills the other reads, where
// huge pages could be, and pieces do not touch each other.
TEST(HostMemory, LargePiecesAreTheSameForAllMembers) {
  const int file = memfd_create("test", MFD_CLOEXEC);
  HostMemory first(dup(file), 0, 2), second(file, 1, 2);
  constexpr std::size_t kHuge = std::size_t{2} << 20;
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
