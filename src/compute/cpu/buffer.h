// Memory for packed weights and tiles: aligned to a cache line, in huge pages where it is large.
#pragma once
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

// Buffers that calls leave to the calls after them, so that the kernel need not clear pages anew
// for every product of every layer. Holds as many as were out at once, each of the largest size
// that it was wanted in. For any number of threads.
class BufferShelf {
 public:
  // At least `size` bytes, with whatever the last user left there.
  Buffer take(std::size_t size);
  void give_back(Buffer buffer) noexcept;

 private:
  std::mutex mutex_;
  std::vector<Buffer> buffers_;
  std::size_t out_ = 0;  // taken and not given back
};

// A buffer of the shelf, given back at the end; the shelf outlives it. Movable.
class LentBuffer {
 public:
  LentBuffer() = default;
  LentBuffer(BufferShelf& shelf, std::size_t size) : shelf_(&shelf), buffer_(shelf.take(size)) {}
  LentBuffer(LentBuffer&& other) noexcept
      : shelf_(std::exchange(other.shelf_, nullptr)), buffer_(std::move(other.buffer_)) {}
  LentBuffer& operator=(LentBuffer&& other) noexcept {
    std::swap(shelf_, other.shelf_);
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~LentBuffer() {
    if (shelf_ != nullptr) shelf_->give_back(std::move(buffer_));
  }
  std::byte* data() const { return buffer_.data(); }

 private:
  BufferShelf* shelf_ = nullptr;
  Buffer buffer_;
};

}  // namespace gracemoe
