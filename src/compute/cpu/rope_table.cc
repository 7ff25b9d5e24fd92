#include <algorithm>
#include <cmath>

#include "compute/cpu/parts.h"

namespace gracemoe {

std::vector<double> RopeTable::frequencies(std::size_t half, double theta) {
  std::vector<double> frequencies(half);
  for (std::size_t i = 0; i < half; ++i) {
    frequencies[i] = std::pow(theta, -static_cast<double>(i) / static_cast<double>(half));
  }
  return frequencies;
}

void RopeTable::fill(std::int32_t position, std::span<const double> frequencies, float* row) {
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double angle = position * frequencies[i];
    row[i] = static_cast<float>(std::cos(angle));
    row[frequencies.size() + i] = static_cast<float>(std::sin(angle));
  }
}

std::shared_ptr<const RopeTable::Rows> RopeTable::rows(std::int32_t largest, std::size_t half,
                                                       double theta) const {
  const std::lock_guard lock(mutex_);
  auto table = std::find_if(tables_.begin(), tables_.end(),
                            [&](const Table& t) { return t.half == half && t.theta == theta; });
  if (table == tables_.end()) {
    table = tables_.insert(table, {half, theta, std::make_shared<const Rows>()});
  }
  const std::size_t have = table->rows->size() / (2 * half);
  const auto need = static_cast<std::size_t>(std::min(largest, kKept - 1)) + 1;
  if (have < need) {
    // Doubling keeps the copying linear; readers of the old table keep it alive.
    const std::size_t size = std::min<std::size_t>(std::max(need, 2 * have), kKept);
    auto grown = std::make_shared<Rows>(size * 2 * half);
    std::copy(table->rows->begin(), table->rows->end(), grown->begin());
    const auto frequency = frequencies(half, theta);
    for (std::size_t p = have; p < size; ++p) {
      fill(static_cast<std::int32_t>(p), frequency, grown->data() + p * 2 * half);
    }
    table->rows = std::move(grown);
  }
  return table->rows;
}

}  // namespace gracemoe
