// From the rows that are here to the grouped work of the experts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "exchange/exchange.h"
#include "exchange/row_set.h"

namespace gracemoe {

// Builds `work` (its hidden and element already set) from the entries of all `sets`, in the order
// of the sets. Experts ascend; inside an expert the order is that of the sets' entries. Returns for
// every entry, numbered through the sets, its place among the outputs.
// Rows are not copied: where each of them lies in `home`, row_data points there; else row_at says
// where.
std::vector<std::int32_t> build_work(std::span<const RowSet* const> sets,
                                     std::span<const std::byte> home, ExpertWork& work);

}  // namespace gracemoe
