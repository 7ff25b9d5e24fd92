#include "compute/host_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
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

// A place in the address space where a mapping's huge pages can lie as they lie in the file.
void* reserve(std::size_t size, std::size_t alignment) {
  const auto wanted = size + alignment;
  void* all = mmap(nullptr, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) throw std::bad_alloc();
  const auto begin = reinterpret_cast<std::uintptr_t>(all);
  const auto place = (begin + alignment - 1) / alignment * alignment;
  if (place > begin) munmap(all, place - begin);
  if (begin + wanted > place + size)
    munmap(reinterpret_cast<void*>(place + size), begin + wanted - place - size);
  return reinterpret_cast<void*>(place);
}

// Asks for huge pages even where files in memory do not get any by themselves (shmem_enabled:
// never, as most systems have it): collapsed when all but one of their small pages are still
// missing, which takes a seventh of the time that the small ones would. What cannot be had stays
// as it is.
void take_huge_pages(std::byte* data, std::size_t size, std::size_t page) {
#ifdef MADV_COLLAPSE
  constexpr int kCollapse = MADV_COLLAPSE;
#else
  constexpr int kCollapse = 25;  // Linux 6.1
#endif
  for (std::size_t at = 0; at + kHugePage <= size; at += kHugePage)
    if (madvise(data + at, page, MADV_POPULATE_WRITE) != 0) return;
  madvise(data, size, kCollapse);
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
  void* data = reserve(size, large ? kHugePage : page);
  mapped_.emplace_back(data, size);
  if (mmap(data, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor_,
           static_cast<off_t>(offset)) == MAP_FAILED)
    throw std::bad_alloc();
  if (large) madvise(data, size, MADV_HUGEPAGE);
  if (large && mine) take_huge_pages(static_cast<std::byte*>(data), size, page);
  // A page that nobody could have must not be found out by a signal.
  if (mine && madvise(data, size, MADV_POPULATE_WRITE) != 0) {
    if (errno != EINVAL) throw std::bad_alloc();
    allocate(descriptor_, offset, size);  // Linux before 5.14
  }
  return {static_cast<std::byte*>(data), mine};
}

}  // namespace gracemoe
