#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz_target.h"

namespace gracemoe {

MemoryFile::MemoryFile() : fd_(memfd_create("fuzz", 0)) {
  expect(fd_ >= 0, "no file in memory");
  path_ = "/proc/self/fd/" + std::to_string(fd_);
}

MemoryFile::~MemoryFile() {
  close(fd_);
}

const std::filesystem::path& MemoryFile::holding(const std::uint8_t* data, std::size_t size) {
  expect(ftruncate(fd_, 0) == 0, "cannot empty the file");
  expect(pwrite(fd_, data, size, 0) == static_cast<ssize_t>(size), "cannot fill the file");
  return path_;
}

}  // namespace gracemoe
