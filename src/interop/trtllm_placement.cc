#include <yaml-cpp/yaml.h>

#include <charconv>
#include <map>

#include "base/error.h"
#include "interop/json_tables.h"
#include "interop/tensorrt_llm.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kSlots[] = "num_slots";
constexpr char kUpdates[] = "layer_updates_per_iter";
constexpr char kAssignments[] = "initial_global_assignments";
// The library takes some hundred bytes a value; 58 layers of 288 slots are 100 kB of text.
constexpr std::size_t kMaxText = std::size_t{16} << 20U;
constexpr int kMaxSlots = 1 << 20;

std::string show(const YAML::Node& node) {
  if (!node.IsDefined()) return "nothing";
  if (node.IsSequence()) return "a list of " + std::to_string(node.size());
  if (node.IsMap()) return "a mapping of " + std::to_string(node.size());
  if (!node.IsScalar()) return "null";
  return "'" + node.Scalar().substr(0, 60) + "'";
}

int whole(const YAML::Node& node, int min, int max, const std::string& what) {
  int value = 0;
  const std::string text = node.IsDefined() && node.IsScalar() ? node.Scalar() : "";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < min ||
      value > max)
    fail_input({what, show(node),
                "a whole number from " + std::to_string(min) + " to " + std::to_string(max), ""});
  return value;
}

std::vector<int> slots_of(const YAML::Node& list, std::size_t slots, const std::string& what) {
  if (!list.IsSequence() || list.size() != slots)
    fail_input({what, show(list), "a list of " + std::to_string(slots) + ", the num_slots", ""});
  std::vector<int> experts;
  experts.reserve(slots);
  for (const YAML::Node& item : list)
    experts.push_back(whole(item, 0, kMaxExperts - 1, item_name(what, experts.size())));
  return experts;
}

void check_keys(const YAML::Node& file, const std::string& name) {
  std::map<std::string, int> seen;
  for (const auto& entry : file) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (key != kSlots && key != kUpdates && key != kAssignments)
      fail_input({name, "the key " + show(entry.first),
                  std::string(kSlots) + ", " + kUpdates + " and " + kAssignments + " only", ""});
    if (++seen[key] > 1) fail_input({name, "the key '" + key + "' twice", "each key once", ""});
  }
}

SlotPlacement read_nodes(const YAML::Node& file, const std::string& name,
                         const PlacementHints& hints) {
  if (!file.IsMap()) fail_input({name, show(file), "a mapping with " + std::string(kSlots), ""});
  check_keys(file, name);
  const auto slots =
      static_cast<std::size_t>(whole(file[kSlots], 1, kMaxSlots, name + ": " + kSlots));
  if (file[kUpdates]) whole(file[kUpdates], 0, 1 << 30, name + ": " + kUpdates);
  const YAML::Node assignments = file[kAssignments];
  const std::string what = name + ": " + kAssignments;
  if (!assignments.IsDefined() || !assignments.IsMap())
    fail_input({what, show(assignments), "a mapping from layers to lists of experts",
                "without assignments there is no placement to convert"});
  std::map<int, std::vector<int>> layers;
  for (const auto& entry : assignments) {
    const int layer = whole(entry.first, 0, kMaxHiddenLayers - 1, what + ": a layer");
    const std::string place = what + ": layer " + std::to_string(layer);
    if (layers.contains(layer)) fail_input({place, "a second list", "each layer once", ""});
    layers[layer] = slots_of(entry.second, slots, place);
  }
  LayerNumbers numbers;
  std::vector<std::vector<int>> rows;
  for (auto& [layer, experts] : layers) {
    numbers.absolute.push_back(layer);
    rows.push_back(std::move(experts));
  }
  SlotPlacement placement = placement_of_rows(std::move(rows), hints, what);
  placement.numbers = std::move(numbers);
  return placement;
}

}  // namespace

SlotPlacement read_trtllm_placement(const std::string& text, const std::string& name,
                                    const PlacementHints& hints) {
  if (text.size() > kMaxText)
    fail_input({name, std::to_string(text.size()) + " bytes of YAML",
                "at most " + std::to_string(kMaxText), "check that this is the right file"});
  try {
    return read_nodes(YAML::Load(text), name, hints);
  } catch (const YAML::Exception& error) {
    fail_input({name + ": not valid YAML at line " + std::to_string(error.mark.line + 1) + ": " +
                    error.msg.substr(0, 160),
                "", "", "check that the file is complete"});
  }
}

std::string trtllm_placement_text(const SlotPlacement& placement, const LayerNumbers& numbers) {
  std::string text = std::string(kAssignments) + ":\n";
  for (std::size_t l = 0; l < placement.layers.size(); ++l)
    text +=
        "  " + std::to_string(numbers.absolute[l]) + ": " + list_text(placement.slots(l)) + "\n";
  return text + kUpdates + ": 0\n" + kSlots + ": " + std::to_string(placement.slots(0).size()) +
         "\n";
}

}  // namespace gracemoe
