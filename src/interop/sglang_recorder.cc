#include "interop/sglang_recorder.h"

#include <algorithm>

#include "base/error.h"
#include "interop/json_tables.h"
#include "interop/recorder_slots.h"

namespace gracemoe {
namespace {

constexpr char kCount[] = "logical_count";
constexpr char kRecords[] = "records";
constexpr char kTopk[] = "topk_ids_of_layer";
constexpr char kPhysical[] = "global_physical_count";

using Rows = std::vector<std::vector<double>>;

// Adds the counts of [..., layers, width], the layer's `fold` telling where each column goes.
template <typename Fold>
void add_counts(Rows& rows, const IntTensor& counts, const std::string& what, Fold fold) {
  const auto layers = rows.size();
  const auto width = static_cast<std::size_t>(counts.shape.back());
  for (std::size_t i = 0; i < counts.values.size(); ++i) {
    if (counts.values[i] < 0)
      fail_input({what, std::to_string(counts.values[i]), "counts of at least 0", ""});
    const std::size_t layer = i / width % layers;
    rows[layer][fold(layer, i % width)] += static_cast<double>(counts.values[i]);
  }
}

Rows stat_rows(const TorchDict& root) {
  const IntTensor counts = root.tensor(kCount);
  const std::string what = root.key_name(kCount);
  if (counts.shape.size() != 3 || counts.values.empty() || counts.shape[1] > kMaxHiddenLayers)
    fail_input({what, std::to_string(counts.shape.size()) + " dimensions or no element",
                "[buffers, hidden layers, experts]", ""});
  Rows rows(static_cast<std::size_t>(counts.shape[1]),
            std::vector<double>(static_cast<std::size_t>(counts.shape[2])));
  add_counts(rows, counts, what, [](std::size_t, std::size_t expert) { return expert; });
  return rows;
}

Rows pass_rows(const TorchFile& file, const TorchDict& root) {
  const SlotMap map = read_slot_map(root);
  const auto& records = root.list(kRecords);
  Rows rows(map.layers(), std::vector<double>(static_cast<std::size_t>(map.num_experts)));
  for (std::size_t r = 0; r < records.size(); ++r) {
    const TorchDict record = file.dict(records[r], item_name(root.key_name(kRecords), r));
    const IntTensor counts = record.tensor(kPhysical);
    if (counts.shape != map.shape())
      fail_input({record.key_name(kPhysical), "another shape than the map's",
                  "[hidden layers, slots]", ""});
    add_counts(rows, counts, record.key_name(kPhysical),
               [&](std::size_t layer, std::size_t slot) { return map.expert(layer, slot); });
  }
  return rows;
}

}  // namespace

bool recorder_has_tokens(std::span<const TorchFile> files) {
  const TorchDict root = files.front().root();
  if (root.has(kCount)) return false;
  if (!root.has(kRecords))
    fail_input({root.what(), std::string("neither ") + kCount + " nor " + kRecords,
                "a dump of SGLang's expert distribution recorder", ""});
  const auto& records = root.list(kRecords);
  if (records.empty())
    fail_input({root.key_name(kRecords), "an empty list", "at least one record",
                "record while requests run"});
  return files.front().dict(records[0], item_name(root.key_name(kRecords), 0)).has(kTopk);
}

Loads read_recorder_loads(std::span<const TorchFile> files, const LayerChoice& choice) {
  Loads sum;
  for (const TorchFile& file : files) {
    const TorchDict root = file.root();
    const Rows rows = root.has(kCount) ? stat_rows(root) : pass_rows(file, root);
    Loads loads = loads_of_all_layers(rows, choice, file.name());
    if (sum.statistics.layers == 0)
      sum = std::move(loads);
    else
      add_loads(sum, loads, file.name());
  }
  return sum;
}

}  // namespace gracemoe
