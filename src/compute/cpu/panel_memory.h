// Where packed weights lie: in memory of their own, or in the host's, which its ranks fill
// together.
#pragma once
#include <cstddef>
#include <memory>

#include "compute/cpu/buffer.h"
#include "compute/host_memory.h"

namespace gracemoe {

class PanelMemory {
 public:
  PanelMemory() = default;
  PanelMemory(std::size_t size, const std::shared_ptr<HostMemory>& shared) {
    constexpr std::size_t kWorthSharing = 64 << 10;
    if (shared != nullptr && size >= kWorthSharing) {
      shared_ = shared;
      piece_ = shared->take(size);
    } else {
      own_ = Buffer(size);
      piece_.data = own_.data();
    }
  }
  std::byte* data() const { return piece_.data; }
  bool mine() const { return piece_.mine; }  // to fill

 private:
  Buffer own_;
  std::shared_ptr<HostMemory> shared_;
  HostMemory::Piece piece_;
};

}  // namespace gracemoe
