// Memory for weights that all ranks of one host hold alike: each piece is written by one of them
// and read by all, so that the host keeps it once and each rank reads only a part of the files.
#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace gracemoe {

class HostMemory {
 public:
  // Takes a descriptor of a file in memory (memfd) that all members have open.
  HostMemory(int descriptor, int member, int members)
      : descriptor_(descriptor), member_(member), members_(members) {}
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  // `mine`: this member must fill it; the others may read it once the members have met after that.
  // A whole number of pages; lives as long as this object.
  struct Piece {
    std::byte* data = nullptr;
    bool mine = true;
  };
  // All members ask for the same sizes in the same order; they fill the pieces in turn. Throws
  // std::bad_alloc, or an Error (kUsage) where the limit of a file's size is in the way.
  Piece take(std::size_t size);

 private:
  int descriptor_, member_, members_;
  std::size_t next_ = 0;  // offset of the next piece
  int pieces_ = 0;
  std::vector<std::pair<void*, std::size_t>> mapped_;
};

}  // namespace gracemoe
