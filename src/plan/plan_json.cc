// The plan's file, schema version 1. Written by hand rather than by the library's dump: one line an
// expert, so that a diff of two plans names the experts that moved.
#include <charconv>
#include <cmath>
#include <ostream>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "plan/plan.h"

namespace gracemoe {
namespace {

constexpr char kFormat[] = "gracemoe-plan";
constexpr int kVersion = 1;
constexpr int kMaxExperts = 65535;
constexpr int kMaxTopK = 1024;

// The shortest text that reads back as the same double.
std::string number_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
  GM_CHECK(error == std::errc(), "a number's text does not fit");
  return {text, end};
}

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Range, typename Text>
std::string list_text(const Range& range, Text text) {
  std::string out = "[";
  for (const auto& item : range) out += (out.size() > 1 ? ", " : "") + text(item);
  return out + "]";
}

void write_expert(std::ostream& out, std::size_t expert, const std::vector<Instance>& instances) {
  out << "        {\"expert\": " << expert << ", \"devices\": "
      << list_text(instances, [](const Instance& i) { return std::to_string(i.device); });
  if (instances.size() > 1 || instances[0].weight != 1)
    out << ", \"weights\": "
        << list_text(instances, [](const Instance& i) { return number_text(i.weight); });
  out << "}";
}

std::string object_text(std::initializer_list<std::pair<const char*, double>> fields) {
  std::string out = "{";
  for (const auto& [key, value] : fields)
    out += (out.size() > 1 ? ", " : "") + quoted(key) + ": " + number_text(value);
  return out + "}";
}

std::string ratio_point_text(const RatioPoint& p) {
  return object_text(
      {{"ratio", p.ratio}, {"deviation", p.deviation}, {"utilisation", p.utilisation}});
}

std::string memory_point_text(const MemoryPoint& p) {
  return object_text({{"extra_memory", p.extra_memory},
                      {"nodes_visited", p.nodes_visited},
                      {"load_max_over_mean", p.load_max_over_mean},
                      {"layer_time_s", p.layer_time_s}});
}

void write_explanation(std::ostream& out, const LayerPlan& layer) {
  const LayerTime& time = layer.predicted_time;
  if (time != LayerTime{})
    out << ",\n      \"predicted_time_s\": "
        << object_text({{"cross_node", time.cross_node_s},
                        {"intra_node", time.intra_node_s},
                        {"compute", time.compute_s}});
  if (!layer.ratio_curve.empty())
    out << ",\n      \"ratio_curve\": " << list_text(layer.ratio_curve, ratio_point_text);
}

void write_layer(std::ostream& out, std::size_t index, const LayerPlan& layer) {
  out << "    {\n      \"layer\": " << index << ",\n      \"ratio\": " << number_text(layer.ratio)
      << ",\n      \"skew\": " << number_text(layer.skew)
      << ",\n      \"replicas\": " << layer.replicas
      << ",\n      \"nodes_visited\": " << number_text(layer.nodes_visited);
  write_explanation(out, layer);
  out << ",\n      \"predicted_load\": " << list_text(layer.predicted_load, number_text)
      << ",\n      \"experts\": [\n";
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    if (e != 0) out << ",\n";
    write_expert(out, e, layer.experts[e]);
  }
  out << "\n      ]\n    }";
}

void write_plan_text(std::ostream& out, const Plan& plan) {
  out << "{\n  \"format\": \"" << kFormat << "\",\n  \"version\": " << kVersion
      << ",\n  \"preset\": " << quoted(plan.preset)
      << ",\n  \"settings\": " << quoted(plan.settings) << ",\n  \"model\": " << quoted(plan.model)
      << ",\n  \"fingerprint\": " << quoted(plan.fingerprint)
      << ",\n  \"num_experts\": " << plan.num_experts << ",\n  \"top_k\": " << plan.top_k
      << ",\n  \"topology\": " << quoted(plan.topology.to_string());
  if (!plan.time_basis.empty()) out << ",\n  \"time_basis\": " << quoted(plan.time_basis);
  if (!plan.memory_curve.empty())
    out << ",\n  \"memory_curve\": " << list_text(plan.memory_curve, memory_point_text);
  out << ",\n  \"layers\": [\n";
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    if (l != 0) out << ",\n";
    write_layer(out, l, plan.layers[l]);
  }
  out << "\n  ]\n}\n";
}

std::vector<double> read_numbers(const JsonObject& object, const std::string& key) {
  std::vector<double> numbers;
  for (const Json& item : object.array(key)) {
    const double value = item.is_number() ? item.get<double>() : NAN;
    if (!std::isfinite(value))
      fail_input({object.name() + ": " + key, "a list with something else in it", "numbers", ""});
    numbers.push_back(value);
  }
  return numbers;
}

// A device number out of int's range must not wrap into a valid one; validate() then refuses -1.
int read_device(const Json& item, const JsonObject& object) {
  if (!item.is_number_integer())
    fail_input(
        {object.name() + ": devices", "a list with something else in it", "device numbers", ""});
  const double value = item.get<double>();
  return value >= 0 && value <= kMaxExperts ? item.get<int>() : -1;
}

std::vector<Instance> read_expert(const Json& json, std::size_t expert, const std::string& what) {
  const JsonObject object(json, what + ", entry " + std::to_string(expert));
  if (object.integer("expert", 0, kMaxExperts) != static_cast<std::int64_t>(expert))
    fail_input({what,
                "expert " + std::to_string(object.integer("expert", 0, kMaxExperts)) +
                    " as entry " + std::to_string(expert),
                "every expert once, in rising order", ""});
  std::vector<Instance> instances;
  for (const Json& device : object.array("devices"))
    instances.push_back({read_device(device, object), 1.0});
  if (!object.has("weights")) {
    if (instances.size() > 1)
      fail_input({object.name() + ": weights", "nothing", "a weight for each device", ""});
    return instances;
  }
  const std::vector<double> weights = read_numbers(object, "weights");
  if (weights.size() != instances.size())
    fail_input({object.name() + ": weights", std::to_string(weights.size()) + " weights",
                std::to_string(instances.size()) + ", one for each device", ""});
  for (std::size_t i = 0; i < weights.size(); ++i) instances[i].weight = weights[i];
  return instances;
}

LayerTime read_time(const JsonObject& layer) {
  if (!layer.has("predicted_time_s")) return {};
  const JsonObject time = layer.object("predicted_time_s");
  return {time.number_or("cross_node", 0), time.number_or("intra_node", 0),
          time.number_or("compute", 0)};
}

std::vector<RatioPoint> read_ratio_curve(const JsonObject& layer) {
  std::vector<RatioPoint> curve;
  if (!layer.has("ratio_curve")) return curve;
  for (const Json& item : layer.array("ratio_curve")) {
    const JsonObject point(item, layer.name() + ": ratio_curve");
    curve.push_back({point.number_or("ratio", 0), point.number_or("deviation", 0),
                     point.number_or("utilisation", 0)});
  }
  return curve;
}

std::vector<MemoryPoint> read_memory_curve(const JsonObject& plan) {
  std::vector<MemoryPoint> curve;
  if (!plan.has("memory_curve")) return curve;
  for (const Json& item : plan.array("memory_curve")) {
    const JsonObject point(item, plan.name() + ": memory_curve");
    curve.push_back({point.number_or("extra_memory", 0), point.number_or("nodes_visited", 0),
                     point.number_or("load_max_over_mean", 0), point.number_or("layer_time_s", 0)});
  }
  return curve;
}

LayerPlan read_layer(const Json& json, std::size_t index, int devices, const std::string& name) {
  const std::string what = name + ": layer " + std::to_string(index);
  const JsonObject object(json, what);
  if (object.integer("layer", 0, kMaxExperts) != static_cast<std::int64_t>(index))
    fail_input({what, "number " + std::to_string(object.integer("layer", 0, kMaxExperts)),
                "layers in rising order from 0", ""});
  LayerPlan layer;
  layer.ratio = object.number_or("ratio", 0);
  layer.skew = object.number_or("skew", 0);
  layer.replicas = static_cast<int>(object.integer_or("replicas", 0, 0, devices));
  layer.nodes_visited = object.number_or("nodes_visited", 0);
  layer.predicted_time = read_time(object);
  layer.ratio_curve = read_ratio_curve(object);
  if (object.has("predicted_load")) layer.predicted_load = read_numbers(object, "predicted_load");
  const Json& experts = object.array("experts");
  for (std::size_t e = 0; e < experts.size(); ++e)
    layer.experts.push_back(read_expert(experts[e], e, what));
  return layer;
}

Topology read_topology(const JsonObject& object) {
  try {
    return Topology::parse(object.text("topology"));
  } catch (const Error& error) {  // there a usage error; here the file is at fault
    fail_input({object.name() + ": " + error.what(), "", "", ""});
  }
}

void check_header(const JsonObject& object) {
  const std::string format = object.text_or("format", "");
  if (format != kFormat)
    fail_input({object.name() + ": format", format.empty() ? "nothing" : "'" + format + "'",
                std::string("'") + kFormat + "'", "this is not a plan of gracemoe"});
  const std::int64_t version = object.integer("version", 0, 1'000'000);
  if (version != kVersion)
    fail_input({object.name() + ": plan schema version", std::to_string(version),
                std::to_string(kVersion),
                version > kVersion ? "use the newer gracemoe that wrote it, or plan again"
                                   : "make the plan again with gracemoe plan"});
}

}  // namespace

Plan parse_plan(const std::string& text, const std::string& name) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  check_header(object);
  Plan plan;
  plan.preset = object.text_or("preset", "");
  plan.settings = object.text_or("settings", "");
  plan.model = object.text_or("model", "");
  plan.fingerprint = object.text_or("fingerprint", "");
  plan.num_experts = static_cast<int>(object.integer("num_experts", 1, kMaxExperts));
  plan.top_k = static_cast<int>(object.integer("top_k", 1, std::min(plan.num_experts, kMaxTopK)));
  plan.topology = read_topology(object);
  plan.time_basis = object.text_or("time_basis", "");
  plan.memory_curve = read_memory_curve(object);
  const Json& layers = object.array("layers");
  for (std::size_t l = 0; l < layers.size(); ++l)
    plan.layers.push_back(read_layer(layers[l], l, plan.topology.devices(), name));
  validate(plan, name);
  return plan;
}

std::string plan_text(const Plan& plan) {
  std::ostringstream out;
  write_plan_text(out, plan);
  return std::move(out).str();
}

Plan read_plan(const std::filesystem::path& path) {
  return parse_plan(read_file(path), path.string());
}

void write_plan(const std::filesystem::path& path, const Plan& plan) {
  validate(plan, path.string());
  write_file(path, [&](std::ostream& out) { write_plan_text(out, plan); });
}

}  // namespace gracemoe
