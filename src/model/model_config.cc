#include "model/model_config.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace gracemoe {
namespace {

// Generous limits: far above any released model, small enough that no product of two overflows 64
// bits.
constexpr std::int64_t kMaxWidth = 1 << 24;
constexpr std::int64_t kMaxCount = 65535;

int integer(const JsonObject& json, const std::string& key, std::int64_t max) {
  return static_cast<int>(json.integer(key, 1, max));
}

[[noreturn]] void unsupported(const JsonObject& json, const std::string& key,
                              const std::string& got, const std::string& wanted) {
  fail_input({.what = json.key_name(key),
              .got = got,
              .wanted = wanted,
              .action = "this model needs a feature that gracemoe does not have"});
}

// A feature that only a null or absent value switches off.
void refuse_present(const JsonObject& json, const std::string& key) {
  if (json.has(key)) unsupported(json, key, show_json(json.raw(key)), "null");
}
void refuse_true(const JsonObject& json, const std::string& key) {
  if (json.boolean_or(key, false)) unsupported(json, key, "true", "false");
}

[[noreturn]] void inconsistent(const JsonObject& json, const std::string& key, int value,
                               const std::string& wanted) {
  fail_input({.what = json.key_name(key),
              .got = std::to_string(value),
              .wanted = wanted,
              .action = "check that config.json belongs to these weights"});
}

void read_positions(const JsonObject& json, ModelConfig& config) {
  config.max_positions = integer(json, "max_position_embeddings", 1 << 30);
  refuse_present(json, "rope_scaling");
  config.rope_theta = json.number_or("rope_theta", config.rope_theta);
  if (json.has("rope_parameters")) {  // as transformers 5 writes them
    const JsonObject rope = json.object("rope_parameters");
    const std::string type = rope.text_or("rope_type", "default");
    if (type != "default") unsupported(rope, "rope_type", "'" + type + "'", "'default'");
    config.rope_theta = rope.number_or("rope_theta", config.rope_theta);
  }
  if (!(config.rope_theta >= 1)) {
    fail_input({.what = json.key_name("rope_theta"),
                .got = std::to_string(config.rope_theta),
                .wanted = "at least 1",
                .action = ""});
  }
}

// What every decoder of this family of models has: widths, heads, norms, positions.
void read_common(const JsonObject& json, ModelConfig& config) {
  config.vocab = integer(json, "vocab_size", kMaxWidth);
  config.hidden = integer(json, "hidden_size", kMaxWidth);
  config.layers = integer(json, "num_hidden_layers", kMaxCount);
  config.heads = integer(json, "num_attention_heads", kMaxCount);
  config.kv_heads =
      static_cast<int>(json.integer_or("num_key_value_heads", config.heads, 1, kMaxCount));
  config.rms_eps = json.number_or("rms_norm_eps", config.rms_eps);
  if (!(config.rms_eps > 0 && config.rms_eps < 1)) {
    fail_input({.what = json.key_name("rms_norm_eps"),
                .got = std::to_string(config.rms_eps),
                .wanted = "a number between 0 and 1",
                .action = ""});
  }
  read_positions(json, config);
  config.tied_embeddings = json.boolean_or("tie_word_embeddings", false);
  const std::string activation = json.text_or("hidden_act", "silu");
  if (activation != "silu") unsupported(json, "hidden_act", "'" + activation + "'", "'silu'");
  refuse_true(json, "attention_bias");
  refuse_true(json, "use_sliding_window");
  refuse_present(json, "quantization_config");
}

void check_heads(const JsonObject& json, const ModelConfig& config) {
  if (config.heads % config.kv_heads != 0) {
    inconsistent(json, "num_key_value_heads", config.kv_heads,
                 "a divisor of num_attention_heads (" + std::to_string(config.heads) + ")");
  }
  if (config.head_dim % 2 != 0) {
    inconsistent(json, "hidden_size", config.hidden,
                 "heads of an even width, not " + std::to_string(config.head_dim) +
                     " (rotary positions turn pairs)");
  }
}

void check_top_k(const JsonObject& json, const ModelConfig& config) {
  if (config.top_k <= config.experts) return;
  inconsistent(json, "num_experts_per_tok", config.top_k,
               "at most the number of experts (" + std::to_string(config.experts) + ")");
}

void read_olmoe(const JsonObject& json, ModelConfig& config) {
  read_common(json, config);
  if (config.hidden % config.heads != 0) {
    inconsistent(json, "hidden_size", config.hidden,
                 "a multiple of num_attention_heads (" + std::to_string(config.heads) + ")");
  }
  config.head_dim = config.hidden / config.heads;
  check_heads(json, config);
  refuse_present(json, "clip_qkv");
  config.experts = integer(json, "num_experts", kMaxCount);
  config.top_k = integer(json, "num_experts_per_tok", kMaxCount);
  check_top_k(json, config);
  config.expert_width = integer(json, "intermediate_size", kMaxWidth);
  config.normalize_top_k = json.boolean_or("norm_topk_prob", false);
  config.moe_layers.resize(static_cast<std::size_t>(config.layers));
  std::iota(config.moe_layers.begin(), config.moe_layers.end(), 0);
}

// One line an architecture: its name in config.json and what reads the rest of the file.
struct Family {
  const char* name;
  Architecture architecture;
  void (*read)(const JsonObject& json, ModelConfig& config);
};
constexpr Family kFamilies[] = {{"OlmoeForCausalLM", Architecture::kOlmoe, read_olmoe}};

const Family& find_family(const JsonObject& json) {
  const Json& names = json.array("architectures");
  const std::string name = names.empty() || !names[0].is_string() ? "" : names[0];
  std::string known;
  for (const Family& family : kFamilies) {
    if (names.size() == 1 && name == family.name) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  fail_input({.what = json.key_name("architectures"),
              .got = show_json(names.size() == 1 ? names[0] : names),
              .wanted = "one of " + known,
              .action = "this model's architecture is not known to gracemoe"});
}

// eos_token_id is one id, a list of them, or null.
std::optional<std::vector<int>> read_eos(const JsonObject& json, int vocab) {
  constexpr const char* kKey = "eos_token_id";
  if (!json.has(kKey)) return std::nullopt;
  const Json& value = json.raw(kKey);
  std::vector<int> tokens;
  for (const Json& entry : value.is_array() ? value : Json::array({value})) {
    const Json one{{kKey, entry}};
    const int token =
        static_cast<int>(JsonObject(one, json.name()).integer(kKey, 0, std::int64_t{vocab} - 1));
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  }
  return tokens;
}

}  // namespace

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.name);
  return names;
}

ModelConfig read_model_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  if (!file_exists(path)) {
    fail_input({.what = path.string(),
                .got = file_exists(folder) ? "no such file" : "no such folder",
                .wanted = "a model's configuration",
                .action = "check that the folder is a complete Hugging Face model folder"});
  }
  const Json json = read_json(path);
  const JsonObject object(json, path.string());
  const Family& family = find_family(object);
  ModelConfig config;
  config.architecture = family.architecture;
  config.architecture_name = family.name;
  family.read(object, config);

  std::optional<std::vector<int>> eos;
  const std::filesystem::path generation = folder / "generation_config.json";
  if (file_exists(generation)) {
    const Json defaults = read_json(generation);
    eos = read_eos(JsonObject(defaults, generation.string()), config.vocab);
  }
  if (!eos) eos = read_eos(object, config.vocab);
  if (eos) config.eos_tokens = std::move(*eos);
  return config;
}

}  // namespace gracemoe
