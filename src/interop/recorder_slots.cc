#include "interop/recorder_slots.h"

#include <algorithm>

#include "base/error.h"
#include "interop/layer_numbers.h"
#include "trace/metadata.h"

namespace gracemoe {

SlotMap read_slot_map(const TorchDict& root) {
  constexpr char kMap[] = "last_physical_to_logical_map";
  SlotMap slots{root.tensor(kMap), 0};
  const auto& values = slots.map.values;
  if (slots.map.shape.size() != 2 || values.empty() || slots.map.shape[0] > kMaxHiddenLayers)
    fail_input({root.key_name(kMap), "another shape",
                "[hidden layers, slots], at most " + std::to_string(kMaxHiddenLayers) + " layers",
                ""});
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  // No more experts than slots: a table of loads is then no larger than the file.
  const std::int64_t limit = std::min<std::int64_t>(slots.map.shape[1], kMaxExperts);
  if (*least < 0 || *most >= limit)
    fail_input({root.key_name(kMap), "expert " + std::to_string(*least < 0 ? *least : *most),
                "experts from 0 to " + std::to_string(limit - 1), ""});
  slots.num_experts = static_cast<int>(*most) + 1;
  return slots;
}

}  // namespace gracemoe
