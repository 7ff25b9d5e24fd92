#include "model/model_config.h"

#include <algorithm>
#include <utility>

#include "base/files.h"
#include "model/config_parts.h"

namespace gracemoe {
namespace {

// One line an architecture: its name in config.json and what reads the rest of the file.
struct Family {
  const char* name;
  Architecture architecture;
  void (*read)(const JsonObject& json, ModelConfig& config);
};
constexpr Family kFamilies[] = {
    {"OlmoeForCausalLM", Architecture::kOlmoe, read_olmoe_config},
    {"Qwen3MoeForCausalLM", Architecture::kQwen3Moe, read_qwen3_moe_config},
    {"DeepseekV2ForCausalLM", Architecture::kDeepseekV2, read_deepseek_v2_config},
};

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

int cache_elements(const ModelConfig& config) {
  return config.latent.kv_rank > 0 ? config.latent.kv_rank + config.latent.rope_dim
                                   : 2 * config.kv_heads * config.head_dim;
}

}  // namespace gracemoe
