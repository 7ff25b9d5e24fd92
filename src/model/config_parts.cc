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

}  // namespace

void read_common(const JsonObject& json, ModelConfig& config) {
  config.vocab = config_integer(json, "vocab_size", kMaxWidth);
  config.hidden = config_integer(json, "hidden_size", kMaxWidth);
  config.layers = config_integer(json, "num_hidden_layers", kMaxCount);
  config.heads = config_integer(json, "num_attention_heads", kMaxCount);
  config.kv_heads =
      static_cast<int>(json.integer_or("num_key_value_heads", config.heads, 1, kMaxCount));
  config.rms_eps = json.number_or("rms_norm_eps", config.rms_eps);
  if (!(config.rms_eps > 0 && config.rms_eps < 1)) {
    fail_input({.what = json.key_name("rms_norm_eps"),
                .got = std::to_string(config.rms_eps),
                .wanted = "a number between 0 and 1",
                .action = ""});
  }
  config.tied_embeddings = json.boolean_or("tie_word_embeddings", false);
  const std::string activation = json.text_or("hidden_act", "silu");
  if (activation != "silu") unsupported(json, "hidden_act", "'" + activation + "'", "'silu'");
  refuse_true(json, "attention_bias");
  refuse_windows(json);
  refuse_present(json, "quantization_config");
}

RopeScaling read_positions(const JsonObject& json, ModelConfig& config) {
  config.max_positions = config_integer(json, "max_position_embeddings", 1 << 30);
  config.rope_theta = json.number_or("rope_theta", config.rope_theta);
  RopeScaling scaling{std::nullopt, "default", "rope_type"};
  for (const char* key : {"rope_scaling", "rope_parameters"}) {  // the second by transformers 5
    if (!json.has(key)) continue;
    const JsonObject rope = json.object(key);
    scaling.type_key = rope.has("rope_type") ? "rope_type" : "type";
    scaling.type = rope.text_or(scaling.type_key, "default");
    scaling.object = rope;
    config.rope_theta = rope.number_or("rope_theta", config.rope_theta);
  }
  if (!(config.rope_theta >= 1)) {
    fail_input({.what = json.key_name("rope_theta"),
                .got = std::to_string(config.rope_theta),
                .wanted = "at least 1",
                .action = ""});
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
