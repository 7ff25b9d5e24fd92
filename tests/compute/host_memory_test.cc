#include "compute/host_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "support/error_of.h"

namespace gracemoe {
namespace {

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
