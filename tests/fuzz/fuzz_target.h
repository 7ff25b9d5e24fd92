// What every fuzz target has in common: it reads any bytes, and may end in an Error that blames
// them, in nothing else.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"

// The entry that libFuzzer calls, or the driver of this folder.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace gracemoe {

// Runs the code; an Error of ours (kInput, kUsage) is a good end. A broken contract and any other
// exception are defects: they end the program.
template <typename Code>
void expect_errors_only(Code&& code) {
  try {
    code();
  } catch (const Error& error) {
    if (error.category() == ErrorCategory::kInput || error.category() == ErrorCategory::kUsage)
      return;
    std::fprintf(stderr, "a defect: %s\n", error.what());
    std::abort();
  }
}

inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "a defect: %s\n", what);
  std::abort();
}

inline std::string as_text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A file in memory with these bytes, for readers that want a path. One for all inputs: its content
// is replaced.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  const std::filesystem::path& holding(const std::uint8_t* data, std::size_t size);
  const std::filesystem::path& path() const { return path_; }

 private:
  int fd_ = -1;
  std::filesystem::path path_;
};

}  // namespace gracemoe
