// Memory for packed weights and tiles: aligned to a cache line, in huge pages where it is large.
#pragma once
#include <cstddef>
#include <memory>
#include <span>

namespace gracemoe {

// Owns `size` bytes, not initialised; movable. Throws std::bad_alloc.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size);
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

}  // namespace gracemoe
