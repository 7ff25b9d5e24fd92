// The keys and values of one sequence, all layers. Memory is taken once, for `capacity` positions.
#pragma once
#include <cstddef>
#include <vector>

namespace gracemoe {

// Bytes a position takes in one layer. An architecture with a single compressed plane leaves
// `values` at 0.
struct CachePlanes {
  std::size_t keys = 0;
  std::size_t values = 0;
};

class KvCache {
 public:
  // planes [layers].
  KvCache(const std::vector<CachePlanes>& planes, int capacity);

  int capacity() const { return capacity_; }
  int length() const { return length_; }
  // Positions 0 .. length-1 are filled in every layer. Called once a step, after the last layer.
  void set_length(int length);
  // Forgets the positions from `length` on.
  void truncate(int length);
  // One with room for at least `capacity` positions that holds the same ones.
  KvCache grown(int capacity) const;

  std::byte* keys(int layer) { return memory_.data() + offset(layer); }
  std::byte* values(int layer) {
    return memory_.data() + value_offsets_[static_cast<std::size_t>(layer)];
  }
  std::size_t bytes() const { return memory_.size(); }

 private:
  std::size_t offset(int layer) const { return key_offsets_[static_cast<std::size_t>(layer)]; }
  std::vector<CachePlanes> planes_;
  int capacity_;
  int length_ = 0;
  std::vector<std::size_t> key_offsets_,
      value_offsets_;  // [layers] bytes from the start of memory_
  std::vector<std::byte> memory_;
};

}  // namespace gracemoe
