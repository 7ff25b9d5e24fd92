#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "metrics/run_statistics.h"

namespace gracemoe {
namespace {

constexpr const char* kFormat = "gracemoe-run";
constexpr std::int64_t kVersion = 1;
// Bounds against damaged files; far above any cluster or byte count we can meet, far below overflow
// in sums.
constexpr std::int64_t kMaxCount = std::int64_t{1} << 53;  // exact in a double as well
constexpr std::int64_t kMaxDevices = 1 << 20;

// The per-layer figures: one JSON array [devices] each, so that a file stays small and a person
// sees a row per figure.
struct Column {
  const char* key;
  std::int64_t& (*field)(LayerDeviceStatistics&);
  bool optional = false;  // files of before have none of it: zeros
};
using L = LayerDeviceStatistics;
constexpr std::array<Column, 13> kColumns{{
    {"load", [](L& s) -> std::int64_t& { return s.load; }},
    {"dispatch_payload_cross_node_bytes",
     [](L& s) -> std::int64_t& { return s.dispatch_payload.cross_node; }},
    {"dispatch_payload_intra_node_bytes",
     [](L& s) -> std::int64_t& { return s.dispatch_payload.intra_node; }},
    {"combine_payload_cross_node_bytes",
     [](L& s) -> std::int64_t& { return s.combine_payload.cross_node; }},
    {"combine_payload_intra_node_bytes",
     [](L& s) -> std::int64_t& { return s.combine_payload.intra_node; }},
    {"dispatch_metadata_cross_node_bytes",
     [](L& s) -> std::int64_t& { return s.dispatch_metadata.cross_node; }},
    {"dispatch_metadata_intra_node_bytes",
     [](L& s) -> std::int64_t& { return s.dispatch_metadata.intra_node; }},
    {"combine_metadata_cross_node_bytes",
     [](L& s) -> std::int64_t& { return s.combine_metadata.cross_node; }},
    {"combine_metadata_intra_node_bytes",
     [](L& s) -> std::int64_t& { return s.combine_metadata.intra_node; }},
    {"received_from_other_nodes_bytes", [](L& s) -> std::int64_t& { return s.received_payload; },
     true},
    {"cross_node_rows", [](L& s) -> std::int64_t& { return s.cross_node_rows; }},
    {"rows_handed_over", [](L& s) -> std::int64_t& { return s.rows_handed_over; }, true},
    {"messages", [](L& s) -> std::int64_t& { return s.messages; }},
}};

// --- writing ---

void check_complete(const RunStatistics& run) {
  std::set<std::string> keys;
  for (const auto& [key, value] : run.settings) keys.insert(key);
  GM_CHECK(keys.size() == run.settings.size(), "a setting of the run is given twice");
  GM_CHECK(!run.devices.empty(), "run statistics without devices");
  for (const double s : {run.end_to_end_s, run.prefill_s, run.decode_s}) {
    GM_CHECK(std::isfinite(s) && s >= 0, "a time of the run is negative or not finite");
  }
  for (const auto& d : run.devices) {
    for (const double s :
         {d.dispatch_s, d.combine_s, d.expert_compute_s, d.idle_s, d.moe_layer_s}) {
      GM_CHECK(std::isfinite(s) && s >= 0, "a time of a device is negative or not finite");
    }
  }
  for (const auto& layer : run.layers) {
    GM_CHECK(layer.size() == run.devices.size(), "a layer's statistics are not one a device");
  }
}

OrderedJson device_json(const DeviceStatistics& d, std::size_t index) {
  return {{"device", index},
          {"node", d.node},
          {"host", d.host},
          {"all_to_all_s", d.all_to_all_s()},
          {"dispatch_s", d.dispatch_s},
          {"combine_s", d.combine_s},
          {"expert_compute_s", d.expert_compute_s},
          {"idle_s", d.idle_s},
          {"moe_layer_s", d.moe_layer_s},
          {"resident_expert_bytes", d.resident_expert_bytes},
          {"checkpoint_bytes_read", d.checkpoint_bytes_read},
          {"tokens", d.tokens}};
}

struct SecondsColumn {
  const char* key;
  double L::*field;
};
constexpr std::array<SecondsColumn, 5> kSecondsColumns{{{"dispatch_s", &L::dispatch_s},
                                                        {"combine_s", &L::combine_s},
                                                        {"moe_layer_s", &L::moe_layer_s},
                                                        {"expert_compute_s", &L::expert_compute_s},
                                                        {"idle_s", &L::idle_s}}};

OrderedJson layer_json(std::vector<LayerDeviceStatistics> layer) {
  OrderedJson json = OrderedJson::object();
  for (const auto& column : kColumns) {
    OrderedJson values = OrderedJson::array();
    for (auto& device : layer) values.push_back(column.field(device));
    json[column.key] = std::move(values);
  }
  for (const auto& column : kSecondsColumns) {
    OrderedJson values = OrderedJson::array();
    for (const auto& device : layer) values.push_back(device.*column.field);
    json[column.key] = std::move(values);
  }
  return json;
}

OrderedJson derived_json(const RunStatistics& run) {
  const auto balance = load_balance(run);
  return {{"all_to_all_mean_s", mean_all_to_all_s(run)},
          {"all_to_all_max_s", max_all_to_all_s(run)},
          {"cross_node_mb", cross_node_mb(run)},
          {"intra_node_mb", intra_node_mb(run)},
          {"device_idle_mean_s", mean_idle_s(run)},
          {"load_std", balance.std},
          {"load_max_over_mean", balance.max_over_mean},
          {"load_max_over_mean_worst", balance.worst_max_over_mean},
          {"tokens_per_second", tokens_per_second(run)}};
}

OrderedJson to_json(const RunStatistics& run) {
  OrderedJson settings = OrderedJson::object();
  for (const auto& [key, value] : run.settings) settings[key] = value;
  OrderedJson devices = OrderedJson::array(), layers = OrderedJson::array();
  for (std::size_t d = 0; d < run.devices.size(); ++d) {
    devices.push_back(device_json(run.devices[d], d));
  }
  for (const auto& layer : run.layers) layers.push_back(layer_json(layer));
  return {{"format", kFormat},
          {"version", kVersion},
          {"name", run.name},
          {"settings", std::move(settings)},
          {"machine",
           {{"cpu", run.machine.cpu},
            {"cores", run.machine.cores},
            {"memory_bytes", run.machine.memory_bytes},
            {"system", run.machine.system}}},
          {"workload",
           {{"prompts", run.workload.prompts},
            {"prompt_tokens", run.workload.prompt_tokens},
            {"generated_tokens", run.workload.generated_tokens}}},
          {"end_to_end_s", run.end_to_end_s},
          {"prefill_s", run.prefill_s},
          {"decode_s", run.decode_s},
          {"derived", derived_json(run)},
          {"devices", std::move(devices)},
          {"layers", std::move(layers)}};
}

// --- reading ---

void check_kind(const JsonObject& file) {
  const std::string format = file.text_or("format", "");
  if (format != kFormat) {
    fail_input({file.name() + ": format", format.empty() ? "none" : "'" + format + "'",
                std::string("'") + kFormat + "'",
                "give a file that 'gracemoe generate' wrote as its run statistics"});
  }
  const std::int64_t version = file.integer("version", 0, kMaxCount);
  if (version != kVersion) {
    fail_input({file.name() + ": version", std::to_string(version), std::to_string(kVersion),
                "write the file again with this version of gracemoe"});
  }
}

double seconds(const JsonObject& object, const std::string& key) {
  const double value = object.number(key);
  if (value < 0) {
    fail_input({object.name() + ": " + key, std::to_string(value), "seconds, 0 or more", ""});
  }
  return value;
}

std::int64_t count(const JsonObject& object, const std::string& key) {
  return object.integer(key, 0, kMaxCount);
}

// Objects are sorted by key in Json; the order of settings is only kept by an ordered parse. The
// text is known to be good.
std::vector<std::pair<std::string, std::string>> read_settings(const JsonObject& file,
                                                               const std::string& text) {
  const JsonObject checked = file.object("settings");
  const OrderedJson document = OrderedJson::parse(text);
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& item : document.at("settings").items()) {
    settings.emplace_back(item.key(), checked.text(item.key()));
  }
  return settings;
}

MachineInfo read_machine(const JsonObject& json) {
  return {json.text("cpu"), static_cast<int>(json.integer("cores", 0, 1 << 24)),
          count(json, "memory_bytes"), json.text("system")};
}

DeviceStatistics read_device(const JsonObject& json, std::size_t index) {
  const auto i = static_cast<std::int64_t>(index);
  json.integer("device", i, i);  // in order, so that a file with a device cut out is refused
  DeviceStatistics d;
  d.node = static_cast<int>(json.integer("node", 0, kMaxDevices));
  d.host = json.text("host");
  d.dispatch_s = seconds(json, "dispatch_s");
  d.combine_s = seconds(json, "combine_s");
  d.expert_compute_s = seconds(json, "expert_compute_s");
  d.idle_s = seconds(json, "idle_s");
  d.moe_layer_s = seconds(json, "moe_layer_s");
  d.resident_expert_bytes = count(json, "resident_expert_bytes");
  d.checkpoint_bytes_read = count(json, "checkpoint_bytes_read");
  d.tokens = count(json, "tokens");
  return d;
}

void read_column(const JsonObject& json, const Column& column, std::vector<L>& layer) {
  if (column.optional && !json.has(column.key)) return;
  const std::string what = json.name() + ": " + column.key;
  const Json& values = json.array(column.key);
  if (values.size() != layer.size()) {
    fail_input({what, std::to_string(values.size()) + " values",
                std::to_string(layer.size()) + ", one a device", ""});
  }
  for (std::size_t d = 0; d < layer.size(); ++d) {
    const Json& v = values[d];
    const bool good =
        v.is_number_unsigned() && v.get<std::uint64_t>() <= static_cast<std::uint64_t>(kMaxCount);
    if (!good) {
      const auto text = v.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40);
      fail_input({what + "[" + std::to_string(d) + "]", text, "a count, 0 or more", ""});
    }
    column.field(layer[d]) = v.get<std::int64_t>();
  }
}

std::vector<DeviceStatistics> read_devices(const JsonObject& file) {
  const Json& array = file.array("devices");
  if (array.empty()) fail_input({file.name() + ": devices", "none", "at least one device", ""});
  std::vector<DeviceStatistics> devices;
  devices.reserve(array.size());
  for (std::size_t d = 0; d < array.size(); ++d) {
    const std::string name = file.name() + ": devices[" + std::to_string(d) + "]";
    devices.push_back(read_device(JsonObject(array[d], name), d));
  }
  return devices;
}

void read_seconds(const JsonObject& json, const SecondsColumn& column, std::vector<L>& layer) {
  const std::string what = json.name() + ": " + column.key;
  const Json& values = json.array(column.key);
  if (values.size() != layer.size()) {
    fail_input({what, std::to_string(values.size()) + " values",
                std::to_string(layer.size()) + ", one a device", ""});
  }
  for (std::size_t d = 0; d < layer.size(); ++d) {
    const bool good = values[d].is_number() && std::isfinite(values[d].get<double>()) &&
                      values[d].get<double>() >= 0;
    if (!good) {
      fail_input(
          {what + "[" + std::to_string(d) + "]", show_json(values[d]), "seconds, 0 or more", ""});
    }
    layer[d].*column.field = values[d].get<double>();
  }
}

std::vector<std::vector<L>> read_layers(const JsonObject& file, std::size_t devices) {
  const Json& array = file.array("layers");
  std::vector<std::vector<L>> layers;
  for (std::size_t l = 0; l < array.size(); ++l) {
    const JsonObject json(array[l], file.name() + ": layers[" + std::to_string(l) + "]");
    auto& layer = layers.emplace_back(devices);
    for (const auto& column : kColumns) read_column(json, column, layer);
    for (const auto& column : kSecondsColumns) read_seconds(json, column, layer);
  }
  return layers;
}

// Every count is below 2^53, but a forged file could hold so many that totals overflow.
void check_totals(const std::vector<std::vector<L>>& layers, const std::string& name) {
  double sum = 0;
  for (const auto& layer : layers) {
    for (L device : layer) {
      for (const auto& column : kColumns) sum += static_cast<double>(column.field(device));
    }
  }
  if (sum > 0x1.0p62)
    fail_input({name + ": layers", "a sum over 2^62", "counts of a real run", ""});
}

}  // namespace

RunStatistics parse_run_statistics(const std::string& text, const std::string& name) {
  const Json document = parse_json(text, name);
  const JsonObject file(document, name);
  check_kind(file);
  RunStatistics run;
  run.name = file.text("name");
  run.settings = read_settings(file, text);
  run.machine = read_machine(file.object("machine"));
  const JsonObject workload = file.object("workload");
  run.workload = {count(workload, "prompts"), count(workload, "prompt_tokens"),
                  count(workload, "generated_tokens")};
  run.end_to_end_s = seconds(file, "end_to_end_s");
  run.prefill_s = seconds(file, "prefill_s");
  run.decode_s = seconds(file, "decode_s");
  run.devices = read_devices(file);
  run.layers = read_layers(file, run.devices.size());
  check_totals(run.layers, name);
  return run;
}

RunStatistics read_run_statistics(const std::filesystem::path& path) {
  return parse_run_statistics(read_file(path), path.string());
}

std::string run_statistics_json(const RunStatistics& run) {
  check_complete(run);
  // Host names and settings come from outside: bytes that are not UTF-8 are replaced, never thrown
  // over at the end of a run.
  return to_json(run).dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void write_run_statistics(const std::filesystem::path& path, const RunStatistics& run) {
  write_file(path, run_statistics_json(run));
}

}  // namespace gracemoe
