#include "interop/vllm.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "interop/json_tables.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kType[] = "record_type";
constexpr char kMapping[] = "eplb_initial_mapping";
constexpr char kMeta[] = "eplb_load_meta";
constexpr char kStats[] = "eplb_load_stats";
constexpr char kAssignments[] = "initial_global_assignments";
constexpr char kRanks[] = "expert_to_ep_rank";
constexpr int kMaxRanks = 65535;

// Calls `take` with every line's object and its record_type.
void for_each_record(const std::string& text, const std::string& name,
                     const std::function<void(const JsonObject&, const std::string&)>& take) {
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string what = name + ": line " + std::to_string(number);
    const Json json = parse_json(line, what);
    const JsonObject object(json, what);
    take(object, object.text(kType));
  }
}

void expect_version(const JsonObject& record) {
  record.integer("version", 1, 1);
}

SlotPlacement read_mapping_record(const JsonObject& record, const PlacementHints& hints) {
  expect_version(record);
  const JsonObject assignments = record.object(kAssignments);
  const auto slots = static_cast<std::size_t>(record.integer("num_slots", 1, 1 << 30));
  const std::size_t layers = record.raw(kAssignments).size();
  std::vector<std::vector<int>> rows;
  for (std::size_t l = 0; l < layers; ++l) {
    const std::string key = std::to_string(l);
    rows.push_back(int_list(assignments.raw(key), kMaxExperts - 1, assignments.key_name(key)));
    if (rows.back().size() != slots)
      fail_input({assignments.key_name(key), std::to_string(rows.back().size()) + " slots",
                  std::to_string(slots) + ", the file's num_slots", ""});
  }
  return placement_of_rows(std::move(rows), hints, record.key_name(kAssignments));
}

// Folds a step's loads of slots into loads of experts.
std::vector<std::vector<double>> fold_step(const JsonObject& record) {
  const auto load = count_table(record.raw("expert_load"), record.key_name("expert_load"));
  const auto map = int_table(record.raw("p2l_map"), kMaxExperts - 1, record.key_name("p2l_map"));
  if (load.size() != map.size())
    fail_input({record.key_name("expert_load"), std::to_string(load.size()) + " layers",
                std::to_string(map.size()) + ", as p2l_map has", ""});
  int experts = 0;
  for (const auto& row : map)
    for (const int expert : row) experts = std::max(experts, expert + 1);
  if (static_cast<std::size_t>(experts) > (map.empty() ? 0 : map[0].size()))
    fail_input({record.key_name("p2l_map"), "expert " + std::to_string(experts - 1),
                "experts below the number of slots, " + std::to_string(map[0].size()), ""});
  std::vector<std::vector<double>> folded;
  for (std::size_t l = 0; l < map.size(); ++l) {
    if (load[l].size() != map[l].size())
      fail_input({item_name(record.key_name("expert_load"), l),
                  std::to_string(load[l].size()) + " slots",
                  std::to_string(map[l].size()) + ", as p2l_map has", ""});
    auto& row = folded.emplace_back(static_cast<std::size_t>(experts));
    for (std::size_t s = 0; s < map[l].size(); ++s)
      row[static_cast<std::size_t>(map[l][s])] += load[l][s];
  }
  return folded;
}

SlotPlacement for_all_layers(SlotPlacement one, const PlacementHints& hints,
                             const std::string& name) {
  if (hints.layers == 0)
    fail_usage({name, "one map for all layers, and no number of layers", "--layers N",
                "say how many MoE layers the model has"});
  one.layers.resize(static_cast<std::size_t>(hints.layers), one.layers[0]);
  return one;
}

}  // namespace

SlotPlacement read_vllm_mapping(const std::string& text, const std::string& name,
                                const PlacementHints& hints) {
  SlotPlacement placement;
  for_each_record(text, name, [&](const JsonObject& record, const std::string& type) {
    if (type != kMapping || !placement.layers.empty())
      fail_input({record.key_name(kType), "'" + type + "'",
                  std::string("one line of ") + kMapping + " and nothing else", ""});
    placement = read_mapping_record(record, hints);
  });
  if (placement.layers.empty())
    fail_input({name, "no line", std::string("one line of ") + kMapping, ""});
  return placement;
}

Loads read_vllm_loads(const std::string& text, const std::string& name) {
  Loads sum;
  std::string model;
  int ranks = 0;
  int nodes = 0;
  for_each_record(text, name, [&](const JsonObject& record, const std::string& type) {
    if (type == kMeta) {
      expect_version(record);
      model = record.text_or("model", "");
      ranks = static_cast<int>(record.integer_or("num_ranks", 0, 0, kMaxRanks));
      nodes = static_cast<int>(record.integer_or("num_nodes", 0, 0, kMaxRanks));
    } else if (type == kStats) {
      expect_version(record);
      const Loads step = loads_of_moe_layers(fold_step(record), record.name());
      if (sum.statistics.layers == 0)
        sum = step;
      else
        add_loads(sum, step, record.name());
    }
  });
  if (sum.statistics.layers == 0)
    fail_input({name, "no step", std::string("at least one line of ") + kStats, ""});
  sum.statistics.model = model;
  sum.devices = ranks;
  sum.nodes = nodes;
  return sum;
}

SlotPlacement read_vllm_expert_map(const std::string& text, const std::string& name,
                                   const PlacementHints& hints) {
  const Json json = parse_json(text, name);
  const bool nested = json.is_array() && !json.empty() && json[0].is_array();
  if (nested) return placement_of_rows(int_table(json, kMaxExperts - 1, name), hints, name);
  return for_all_layers(placement_of_rows({int_list(json, kMaxExperts - 1, name)}, hints, name),
                        hints, name);
}

SlotPlacement read_vllm_expert_ranks(const std::string& text, const std::string& name,
                                     const PlacementHints& hints) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  const std::vector<int> ranks =
      int_list(object.raw(kRanks), kMaxRanks - 1, object.key_name(kRanks));
  if (ranks.empty()) fail_input({object.key_name(kRanks), "no expert", "at least one", ""});
  SlotPlacement placement;
  placement.devices = *std::max_element(ranks.begin(), ranks.end()) + 1;
  auto& devices = placement.layers.emplace_back(static_cast<std::size_t>(placement.devices));
  for (std::size_t e = 0; e < ranks.size(); ++e)
    devices[static_cast<std::size_t>(ranks[e])].push_back(static_cast<int>(e));
  settle_experts(placement, hints, name);
  return for_all_layers(std::move(placement), hints, name);
}

std::string vllm_mapping_text(const SlotPlacement& placement) {
  const std::size_t slots = placement.slots(0).size();
  OrderedJson record;
  record[kType] = kMapping;
  record["version"] = 1;
  record["num_redundant_experts"] = slots - static_cast<std::size_t>(placement.num_experts);
  record["num_slots"] = slots;
  record[kAssignments] = OrderedJson::object();
  for (std::size_t l = 0; l < placement.layers.size(); ++l)
    record[kAssignments][std::to_string(l)] = placement.slots(l);
  return record.dump() + "\n";
}

std::string vllm_expert_map_text(const SlotPlacement& placement) {
  std::string text = "[";
  for (std::size_t l = 0; l < placement.layers.size(); ++l)
    text += (l == 0 ? "\n  " : ",\n  ") + list_text(placement.slots(l));
  return text + "\n]\n";
}

std::string vllm_expert_ranks_text(const SlotPlacement& placement, const std::string& name) {
  const auto experts = static_cast<std::size_t>(placement.num_experts);
  std::vector<int> ranks(experts, -1);
  std::vector<int> held(static_cast<std::size_t>(placement.devices));
  for (std::size_t l = 0; l < placement.layers.size(); ++l) {
    std::vector<int> here(experts, -1);
    for (std::size_t d = 0; d < placement.layers[l].size(); ++d)
      for (const int expert : placement.layers[l][d])
        if (int& rank = here[static_cast<std::size_t>(expert)]; rank < 0)
          rank = static_cast<int>(d);
    if (l > 0 && here != ranks)
      fail_input({name + ": MoE layer " + std::to_string(l), "another placement than in layer 0",
                  "one placement for all layers, all that vllm-expert-ranks can say",
                  "choose vllm-mapping or vllm-expert-map, or one layer's placement with --layer"});
    ranks = here;
  }
  for (const int rank : ranks) ++held[static_cast<std::size_t>(rank)];
  const auto [least, most] = std::minmax_element(held.begin(), held.end());
  if (*least != *most)
    fail_input({name, std::to_string(*least) + " to " + std::to_string(*most) + " experts a device",
                "the same number on every device: vllm-expert-ranks has no copies to even them out",
                "choose vllm-mapping or vllm-expert-map"});
  return OrderedJson{{kRanks, ranks}}.dump() + "\n";
}

std::string vllm_loads_text(const RoutingStatistics& statistics, int nodes, int devices) {
  OrderedJson meta{{kType, kMeta},
                   {"version", 1},
                   {"model", statistics.model},
                   {"num_ranks", devices},
                   {"num_groups", 1},
                   {"num_nodes", nodes},
                   {"num_layers", statistics.layers},
                   {"num_redundant_experts", 0}};
  std::vector<int> identity(static_cast<std::size_t>(statistics.num_experts));
  std::iota(identity.begin(), identity.end(), 0);
  OrderedJson step{{kType, kStats}, {"version", 1}, {"step", 1}};
  step["expert_load"] = OrderedJson::array();
  step["p2l_map"] = OrderedJson::array();
  for (int l = 0; l < statistics.layers; ++l) {
    const auto load = statistics.layer_load(l);
    step["expert_load"].push_back(std::vector<std::int64_t>(load.begin(), load.end()));
    step["p2l_map"].push_back(identity);
  }
  const auto handler = OrderedJson::error_handler_t::replace;
  return meta.dump(-1, ' ', false, handler) + "\n" + step.dump(-1, ' ', false, handler) + "\n";
}

}  // namespace gracemoe
