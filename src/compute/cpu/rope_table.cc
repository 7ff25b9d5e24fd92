#include <algorithm>
#include <cmath>

#include "compute/cpu/parts.h"

namespace gracemoe {

void RopeTable::fill(std::int32_t position, const Rope& rope, float* row) {
  const std::size_t half = rope.frequencies.size();
  for (std::size_t i = 0; i < half; ++i) {
    const double angle = position * rope.frequencies[i];
    row[i] = static_cast<float>(std::cos(angle) * rope.magnitude);
    row[half + i] = static_cast<float>(std::sin(angle) * rope.magnitude);
  }
}

std::shared_ptr<const RopeTable::Rows> RopeTable::rows(std::int32_t largest,
                                                       const Rope& rope) const {
  const std::lock_guard lock(mutex_);
  auto table =
      std::find_if(tables_.begin(), tables_.end(), [&](const Table& t) { return t.rope == rope; });
  if (table == tables_.end()) {
    table = tables_.insert(table, {rope, std::make_shared<const Rows>()});
  }
  const std::size_t dim = rope.dim();
  const std::size_t have = table->rows->size() / dim;
  const auto need = static_cast<std::size_t>(std::min(largest, kKept - 1)) + 1;
  if (have < need) {
    // Doubling keeps the copying linear; readers of the old table keep it alive.
    const std::size_t size = std::min<std::size_t>(std::max(need, 2 * have), kKept);
    auto grown = std::make_shared<Rows>(size * dim);
    std::copy(table->rows->begin(), table->rows->end(), grown->begin());
    for (std::size_t p = have; p < size; ++p) {
      fill(static_cast<std::int32_t>(p), rope, grown->data() + p * dim);
    }
    table->rows = std::move(grown);
  }
  return table->rows;
}

}  // namespace gracemoe
