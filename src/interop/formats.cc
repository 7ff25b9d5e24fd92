#include "interop/formats.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/safetensors.h"

namespace gracemoe {
namespace {

// The first line with anything on it.
std::string first_line(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return "";
  return text.substr(begin, std::min(text.find('\n', begin), text.size()) - begin);
}

std::optional<Format> by_record_type(const std::string& line) {
  const Json json = Json::parse(line, nullptr, false);
  const auto type = json.is_object() ? json.find("record_type") : json.end();
  if (!json.is_object() || type == json.end() || !type->is_string()) return std::nullopt;
  if (*type == "eplb_initial_mapping") return Format::kVllmMapping;
  return Format::kVllmLoads;
}

std::optional<Format> by_keys(const Json& json) {
  if (json.is_array()) return Format::kVllmExpertMap;
  if (!json.is_object()) return std::nullopt;
  if (json.contains("physical_to_logical_map")) return Format::kSglang;
  if (json.contains("logical_count")) return Format::kSglangCounts;
  if (json.contains("expert_to_ep_rank")) return Format::kVllmExpertRanks;
  if (json.contains("layer_list") || json.contains("moe_layer_count")) return Format::kVllmAscend;
  if (json.contains("format")) return Format::kPlan;
  return std::nullopt;
}

bool looks_like_memra(const std::string& line) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == line.npos ? first : line.find(' ', first + 1);
  return second != line.npos && line.find_first_not_of("0123456789, \r") == line.npos;
}

std::optional<Format> by_metadata(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end()) return std::nullopt;
  if (format->second == "moe-trace") return Format::kTrace;
  if (format->second == "moe-stats") return Format::kStats;
  return std::nullopt;
}

// Eight bytes of length, then the header's JSON.
bool looks_like_safetensors(const std::string& text) {
  return text.size() > 9 && text[8] == '{' && text[6] == '\0' && text[7] == '\0';
}

}  // namespace

const std::vector<FormatInfo>& all_formats() {
  static const std::vector<FormatInfo> formats{
      {Format::kPlan, "plan", "gracemoe", "plan of gracemoe (JSON)", Holds::kPlacement, true},
      {Format::kSglang, "sglang", "sglang-placement",
       "SGLang --init-expert-location, physical_to_logical_map (JSON)", Holds::kPlacement, true},
      {Format::kTrtllm, "trtllm", "tensorrt-llm", "TensorRT-LLM moe_config.load_balancer (YAML)",
       Holds::kPlacement, true},
      {Format::kVllmMapping, "vllm-mapping", "", "vLLM eplb_initial_mapping (JSON line)",
       Holds::kPlacement, true},
      {Format::kVllmExpertMap, "vllm-expert-map", "", "vLLM initial_expert_map_path (JSON)",
       Holds::kPlacement, true},
      {Format::kVllmExpertRanks, "vllm-expert-ranks", "", "vLLM expert_to_ep_rank (JSON)",
       Holds::kPlacement, true},
      {Format::kVllmAscend, "vllm-ascend", "", "vllm-ascend expert_map_path (JSON)",
       Holds::kPlacement, true},
      {Format::kTrace, "trace", "moe-trace", "routing trace of gracemoe (safetensors)",
       Holds::kTokens, true},
      {Format::kStats, "stats", "moe-stats", "routing statistics of gracemoe (safetensors)",
       Holds::kLoads, true},
      {Format::kSglangCounts, "sglang-counts", "sglang-logical-count",
       "SGLang --init-expert-location, logical_count (JSON)", Holds::kLoads, true},
      {Format::kSglangRecorder, "sglang-recorder", "",
       "SGLang recorder's dump (.pt): loads, or tokens in mode per_token", Holds::kTokens, false},
      {Format::kTrtllmStats, "trtllm-stats", "tensorrt-llm-stats",
       "TensorRT-LLM EXPERT_STATISTIC_PATH (folder)", Holds::kLoads, true},
      {Format::kVllmLoads, "vllm-loads", "", "vLLM eplb_load_stats (JSON lines)", Holds::kLoads,
       true},
      {Format::kMemra, "memra", "", "lines '<layer> <tokens> <id,id,...>'", Holds::kTokens, true},
      {Format::kRoutedExperts, "routed-experts", "",
       "routed_experts of vLLM and SGLang, int16 raw or base64, a file a request; not detected",
       Holds::kTokens, false},
  };
  return formats;
}

const FormatInfo& info(Format format) {
  return *std::find_if(all_formats().begin(), all_formats().end(),
                       [&](const FormatInfo& f) { return f.format == format; });
}

Format parse_format(const std::string& name) {
  std::string names;
  for (const FormatInfo& format : all_formats()) {
    if (name == format.name || (!name.empty() && name == format.other)) return format.format;
    names += (names.empty() ? "" : ", ") + std::string(format.name);
  }
  fail_usage({"format", "'" + name + "'", "one of " + names, ""});
}

std::string format_list() {
  std::string text;
  for (const FormatInfo& format : all_formats())
    text += fmt::format("  {:<18} {}{}\n", format.name, format.what,
                        format.written ? "" : " (read only)");
  return text;
}

std::optional<Format> detect_text(const std::string& text, const std::string& name) {
  const std::string line = first_line(text);
  if (line.empty()) return std::nullopt;
  if (line[0] == '{' || line[0] == '[') {
    if (const auto format = by_record_type(line)) return format;
    return by_keys(parse_json(text, name));
  }
  if (looks_like_memra(line)) return Format::kMemra;
  const std::string from_line_start = "\n" + text;
  for (const char* key :
       {"\nnum_slots:", "\ninitial_global_assignments:", "\nlayer_updates_per_iter:"})
    if (from_line_start.find(key) != text.npos) return Format::kTrtllm;
  return std::nullopt;
}

Format detect_format(const std::filesystem::path& path) {
  std::optional<Format> format;
  if (std::filesystem::is_directory(path)) {
    if (file_exists(path / "meta_info.json")) format = Format::kTrtllmStats;
  } else {
    const std::string text = read_file(path);
    if (text.starts_with("PK"))
      format = Format::kSglangRecorder;
    else if (looks_like_safetensors(text))
      format = by_metadata(path);
    else
      format = detect_text(text, path.string());
  }
  if (!format)
    fail_input({path.string(), "a format that its content does not tell",
                "one that gracemoe convert knows", "name it with --from (see --help)"});
  return *format;
}

}  // namespace gracemoe
