// last_physical_to_logical_map of a recorder's dump.
#pragma once
#include <cstdint>
#include <vector>

#include "interop/torch_file.h"

namespace gracemoe {

struct SlotMap {
  IntTensor map;        // [hidden layers, slots], both at least 1
  int num_experts = 0;  // the largest expert + 1

  const std::vector<std::int64_t>& shape() const { return map.shape; }
  std::size_t layers() const { return static_cast<std::size_t>(map.shape[0]); }
  std::size_t slots() const { return static_cast<std::size_t>(map.shape[1]); }
  std::size_t expert(std::size_t layer, std::size_t slot) const {
    return static_cast<std::size_t>(map.values[layer * slots() + slot]);
  }
};

// Errors (kInput): not such a map; experts outside of [0, slots).
SlotMap read_slot_map(const TorchDict& root);

}  // namespace gracemoe
