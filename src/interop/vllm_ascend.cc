#include "interop/vllm_ascend.h"

#include "base/error.h"
#include "interop/json_tables.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr int kMaxDevices = 65535;

// Items of a list that number themselves with `key`, each number below the list's length once;
// `take` gets them as they come.
template <typename Take>
void for_each_numbered(const Json& list, const std::string& key, const std::string& what,
                       Take take) {
  std::vector<bool> seen(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonObject item(list[i], item_name(what, i));
    const auto id =
        static_cast<std::size_t>(item.integer(key, 0, static_cast<std::int64_t>(list.size()) - 1));
    if (seen[id])
      fail_input(
          {item.key_name(key), std::to_string(id) + " a second time", "each number once", ""});
    seen[id] = true;
    take(id, item);
  }
}

SlotPlacement::Layer read_layer(const JsonObject& layer) {
  const Json& list = layer.array("device_list");
  const auto count = static_cast<std::size_t>(layer.integer("device_count", 1, kMaxDevices));
  if (list.size() != count)
    fail_input({layer.key_name("device_list"), std::to_string(list.size()) + " devices",
                std::to_string(count) + ", the layer's device_count", ""});
  SlotPlacement::Layer devices(count);
  for_each_numbered(list, "device_id", layer.key_name("device_list"),
                    [&](std::size_t id, const JsonObject& device) {
                      const std::string what = device.key_name("device_expert");
                      devices[id] = int_list(device.raw("device_expert"), kMaxExperts - 1, what);
                      if (devices[id].empty()) fail_input({what, "no expert", "at least one", ""});
                    });
  return devices;
}

}  // namespace

SlotPlacement read_vllm_ascend(const std::string& text, const std::string& name,
                               const PlacementHints& hints) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  const Json& list = object.array("layer_list");
  const auto count =
      static_cast<std::size_t>(object.integer("moe_layer_count", 1, kMaxHiddenLayers));
  if (list.size() != count)
    fail_input({object.key_name("layer_list"), std::to_string(list.size()) + " layers",
                std::to_string(count) + ", the file's moe_layer_count", ""});
  SlotPlacement placement;
  placement.layers.resize(count);
  for_each_numbered(
      list, "layer_id", object.key_name("layer_list"),
      [&](std::size_t id, const JsonObject& layer) {
        placement.layers[id] = read_layer(layer);
        const int devices = static_cast<int>(placement.layers[id].size());
        if (placement.devices != 0 && devices != placement.devices)
          fail_input({layer.key_name("device_count"), std::to_string(devices),
                      std::to_string(placement.devices) + ", as in other layers", ""});
        placement.devices = devices;
      });
  if (placement.slots_a_device() == 0)
    fail_input({name + ": device_expert", "lists of several lengths",
                "the same number of experts on every device of every layer", ""});
  settle_experts(placement, hints, name);
  return placement;
}

std::string vllm_ascend_text(const SlotPlacement& placement) {
  OrderedJson file{{"moe_layer_count", placement.layers.size()}};
  OrderedJson& layers = file["layer_list"] = OrderedJson::array();
  for (std::size_t l = 0; l < placement.layers.size(); ++l) {
    OrderedJson layer{{"layer_id", l}, {"device_count", placement.devices}};
    for (std::size_t d = 0; d < placement.layers[l].size(); ++d)
      layer["device_list"].push_back(
          OrderedJson{{"device_id", d}, {"device_expert", placement.layers[l][d]}});
    layers.push_back(std::move(layer));
  }
  return file.dump(1) + "\n";
}

}  // namespace gracemoe
