#include "model/config_parts.h"

#include <optional>

namespace gracemoe {

void unsupported(const JsonObject& json, const std::string& key, const std::string& got,
                 const std::string& wanted) {
  fail_input({.what = json.key_name(key),
              .got = got,
              .wanted = wanted,
              .action = "this model needs a feature that gracemoe does not have"});
}

void refuse_present(const JsonObject& json, const std::string& key) {
  if (json.has(key)) unsupported(json, key, show_json(json.raw(key)), "null");
}
void refuse_true(const JsonObject& json, const std::string& key) {
  if (json.boolean_or(key, false)) unsupported(json, key, "true", "false");
}

void refuse_false(const JsonObject& json, const std::string& key) {
  if (!json.boolean_or(key, true)) unsupported(json, key, "false", "true");
}
void refuse_above_zero(const JsonObject& json, const std::string& key) {
  if (json.number_or(key, 0) > 0) unsupported(json, key, show_json(json.raw(key)), "0");
}

void inconsistent(const JsonObject& json, const std::string& key, int value,
                  const std::string& wanted) {
  fail_input({.what = json.key_name(key),
              .got = std::to_string(value),
              .wanted = wanted,
              .action = "check that config.json belongs to these weights"});
}

namespace {

// Qwen's configs name a window's size even where use_sliding_window switches it off.
void refuse_windows(const JsonObject& json) {
  refuse_true(json, "use_sliding_window");
  if (!json.has("use_sliding_window")) refuse_present(json, "sliding_window");
  if (!json.has("layer_types")) return;
  for (const Json& type : json.array("layer_types"))
    if (type != "full_attention")
      unsupported(json, "layer_types", show_json(type), "\"full_attention\"");
}

// Only a part of each head would be rotated.
void refuse_partial_rotation(const JsonObject& json) {
  constexpr const char* kKey = "partial_rotary_factor";
  if (json.number_or(kKey, 1) != 1) unsupported(json, kKey, show_json(json.raw(kKey)), "1");
}

std::string object_text(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[noreturn]] void contradiction(const JsonObject& json, const std::string& key,
                                const std::string& wanted) {
  const Json& got = json.raw(key);
  fail_input({.what = json.key_name(key),
              .got = got.is_object() ? object_text(got) : show_json(got),
              .wanted = wanted,
              .action = "two keys of config.json contradict each other: keep the one that the "
                        "model was trained with"});
}

// "rope_type" is the newer name of "type".
std::string scaling_type(const JsonObject& rope, std::string& key) {
  key = rope.has("rope_type") ? "rope_type" : "type";
  std::string type = rope.text_or(key, "default");
  if (rope.has("type") && rope.text("type") != type)
    contradiction(rope, "type", "'" + type + "', as " + rope.key_name(key) + " says");
  return type;
}

// What stretches positions, without the type's two names and the base.
Json stretch(const Json& rope) {
  Json rest = rope;
  for (const char* key : {"type", "rope_type", "rope_theta"}) rest.erase(key);
  return rest;
}

// Where both places speak, they must say the same.
void check_both_places(const JsonObject& json) {
  if (!json.has("rope_scaling") || !json.has("rope_parameters")) return;
  std::string key;
  const std::string older = scaling_type(json.object("rope_scaling"), key);
  const std::string newer = scaling_type(json.object("rope_parameters"), key);
  const bool same =
      older == newer && (older == "default" ||
                         stretch(json.raw("rope_scaling")) == stretch(json.raw("rope_parameters")));
  if (!same)
    contradiction(json, "rope_scaling",
                  "what rope_parameters says: " + object_text(json.raw("rope_parameters")));
}

}  // namespace

void read_common(const JsonObject& json, double missing_rms_eps, ModelConfig& config) {
  config.vocab = config_integer(json, "vocab_size", kMaxWidth);
  config.hidden = config_integer(json, "hidden_size", kMaxWidth);
  config.layers = config_integer(json, "num_hidden_layers", kMaxCount);
  config.heads = config_integer(json, "num_attention_heads", kMaxCount);
  config.kv_heads =
      static_cast<int>(json.integer_or("num_key_value_heads", config.heads, 1, kMaxCount));
  config.rms_eps = json.number_or("rms_norm_eps", missing_rms_eps);
  if (!(config.rms_eps > 0 && config.rms_eps < 1)) {
    fail_input({.what = json.key_name("rms_norm_eps"),
                .got = std::to_string(config.rms_eps),
                .wanted = "a number between 0 and 1",
                .action = "check that the file is as published"});
  }
  config.tied_embeddings = json.boolean_or("tie_word_embeddings", false);
  const std::string activation = json.text_or("hidden_act", "silu");
  if (activation != "silu") unsupported(json, "hidden_act", "'" + activation + "'", "'silu'");
  for (const char* bias : {"attention_bias", "qkv_bias", "mlp_bias"}) refuse_true(json, bias);
  refuse_windows(json);
  refuse_present(json, "quantization_config");
}

RopeScaling read_positions(const JsonObject& json, ModelConfig& config) {
  config.max_positions = config_integer(json, "max_position_embeddings", 1 << 30);
  config.rope_theta = json.number_or("rope_theta", config.rope_theta);
  RopeScaling scaling{std::nullopt, "default", "rope_type"};
  refuse_partial_rotation(json);
  check_both_places(json);
  bool said = json.has("rope_theta");
  for (const char* key : {"rope_scaling", "rope_parameters"}) {  // the second by transformers 5
    if (!json.has(key)) continue;
    const JsonObject rope = json.object(key);
    refuse_partial_rotation(rope);
    scaling.type = scaling_type(rope, scaling.type_key);
    scaling.object = rope;
    const double theta = rope.number_or("rope_theta", config.rope_theta);
    if (said && theta != config.rope_theta)
      contradiction(rope, "rope_theta", "the other rope_theta, " + show_json(config.rope_theta));
    said = said || rope.has("rope_theta");
    config.rope_theta = theta;
  }
  if (!(config.rope_theta >= 1)) {
    fail_input({.what = json.key_name("rope_theta"),
                .got = std::to_string(config.rope_theta),
                .wanted = "at least 1",
                .action = "check that the file is as published"});
  }
  return scaling;
}

void refuse_scaling(const RopeScaling& scaling) {
  if (scaling.type != "default")
    unsupported(*scaling.object, scaling.type_key, "'" + scaling.type + "'", "'default'");
}

void check_heads(const JsonObject& json, const ModelConfig& config) {
  if (config.heads % config.kv_heads != 0) {
    inconsistent(json, "num_key_value_heads", config.kv_heads,
                 "a divisor of num_attention_heads (" + std::to_string(config.heads) + ")");
  }
  if (config.head_dim % 2 != 0) {
    inconsistent(json, json.has("head_dim") ? "head_dim" : "hidden_size",
                 json.has("head_dim") ? config.head_dim : config.hidden,
                 "heads of an even width, not " + std::to_string(config.head_dim) +
                     " (rotary positions turn pairs)");
  }
}

void read_expert_counts(const JsonObject& json, const std::string& experts_key,
                        ModelConfig& config) {
  config.experts = config_integer(json, experts_key, kMaxCount);
  config.top_k = config_integer(json, "num_experts_per_tok", kMaxCount);
  if (config.top_k > config.experts)
    inconsistent(json, "num_experts_per_tok", config.top_k,
                 "at most the number of experts (" + std::to_string(config.experts) + ")");
  config.normalize_top_k = json.boolean_or("norm_topk_prob", false);
}

void check_moe_layers(const JsonObject& json, const std::string& key, const ModelConfig& config) {
  if (!config.moe_layers.empty()) return;
  fail_input({.what = json.key_name(key),
              .got = "no layer with experts among " + std::to_string(config.layers),
              .wanted = "at least one",
              .action = "gracemoe runs mixture-of-experts models"});
}

}  // namespace gracemoe
