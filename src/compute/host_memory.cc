#include "compute/host_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace gracemoe {

HostMemory::~HostMemory() {
  for (const auto& [data, size] : mapped_) munmap(data, size);
  close(descriptor_);
}

HostMemory::Piece HostMemory::take(std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  size = (size + page - 1) / page * page;
  const auto offset = static_cast<off_t>(next_);
  next_ += size;
  const bool mine = pieces_++ % members_ == member_;
  // Only ever grows the file, whoever comes first: a page that nobody could have must not be found
  // out by a signal.
  if (mine && posix_fallocate(descriptor_, offset, static_cast<off_t>(size)) != 0)
    throw std::bad_alloc();
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, offset);
  if (data == MAP_FAILED) throw std::bad_alloc();
  mapped_.emplace_back(data, size);
  return {static_cast<std::byte*>(data), mine};
}

}  // namespace gracemoe
