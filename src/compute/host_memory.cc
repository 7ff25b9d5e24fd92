#include "compute/host_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <string>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

// Beyond the limit the kernel would end the process by a signal.
void allocate(int descriptor, std::size_t offset, std::size_t size) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < offset + size)
    fail_usage({"file size limit (ulimit -f)", std::to_string(limit.rlim_cur) + " bytes",
                "at least " + std::to_string(offset + size) +
                    ", for weights that the ranks of a machine share",
                "raise it: ulimit -f unlimited"});
  if (posix_fallocate(descriptor, static_cast<off_t>(offset), static_cast<off_t>(size)) != 0)
    throw std::bad_alloc();
}

}  // namespace

HostMemory::~HostMemory() {
  for (const auto& [data, size] : mapped_) munmap(data, size);
  close(descriptor_);
}

HostMemory::Piece HostMemory::take(std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const bool large = size >= 4 * kHugePage;
  size = round_up(size, page);
  const std::size_t offset = round_up(next_, large ? kHugePage : page);
  next_ = offset + size;
  const bool mine = pieces_++ % members_ == member_;
  // Only ever grows the file, whoever comes first.
  if (mine) allocate(descriptor_, next_ - page, page);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_,
                    static_cast<off_t>(offset));
  if (data == MAP_FAILED) throw std::bad_alloc();
  mapped_.emplace_back(data, size);
  if (large) madvise(data, size, MADV_HUGEPAGE);
  // A page that nobody could have must not be found out by a signal.
  if (mine && madvise(data, size, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINVAL) throw std::bad_alloc();
    allocate(descriptor_, offset, size);  // Linux before 5.14
  }
  return {static_cast<std::byte*>(data), mine};
}

}  // namespace gracemoe
