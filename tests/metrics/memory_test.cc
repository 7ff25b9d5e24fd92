#include "metrics/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstddef>
#include <fstream>
#include <memory>
#include <string>

namespace gracemoe {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kOtherAllocator = true;
#else
constexpr bool kOtherAllocator = false;
#endif

// Where every page is a huge one, faults are too few to tell.
bool huge_pages_everywhere() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string word;
  while (file >> word)
    if (word == "[always]") return true;
  return false;
}

long page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Takes 24 MB, writes to each page, and frees them.
void use_and_free() {
  constexpr std::size_t kBytes = 24 << 20, kPage = 4096;
  const std::unique_ptr<char[]> memory(new char[kBytes]);
  volatile char* bytes = memory.get();
  for (std::size_t at = 0; at < kBytes; at += kPage) bytes[at] = 1;
}

TEST(Memory, WhatIsFreedIsThereAgainWithoutTheKernel) {
  if (kOtherAllocator) GTEST_SKIP() << "a sanitizer's allocator stands in";
  if (huge_pages_everywhere()) GTEST_SKIP() << "every page is a huge one here";
  keep_freed_memory();
  use_and_free();
  const long before = page_faults();
  for (int i = 0; i < 4; ++i) use_and_free();
  EXPECT_LT(page_faults() - before, 100) << "of 24,576 pages";
}

}  // namespace
}  // namespace gracemoe
