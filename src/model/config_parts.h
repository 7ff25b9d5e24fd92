// Pieces of config.json that the architectures' readers share, and the readers: one file each. All
// errors are kInput and name file and key.
#pragma once
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "model/model_config.h"

namespace gracemoe {

// Generous limits: far above any released model, small enough that no product of two overflows 64
// bits.
constexpr std::int64_t kMaxWidth = 1 << 24;
constexpr std::int64_t kMaxCount = 65535;

inline int config_integer(const JsonObject& json, const std::string& key, std::int64_t max) {
  return static_cast<int>(json.integer(key, 1, max));
}

// The model asks for something that gracemoe lacks.
[[noreturn]] void unsupported(const JsonObject& json, const std::string& key,
                              const std::string& got, const std::string& wanted);
// A feature that only a null or absent value switches off.
void refuse_present(const JsonObject& json, const std::string& key);
void refuse_true(const JsonObject& json, const std::string& key);
void refuse_false(const JsonObject& json, const std::string& key);
void refuse_above_zero(const JsonObject& json, const std::string& key);
// Two keys that contradict each other.
[[noreturn]] void inconsistent(const JsonObject& json, const std::string& key, int value,
                               const std::string& wanted);

// What every decoder of these families has: widths, heads, norms, activation; and refuses what none
// of them has here (biases, windows, quantised weights). Not the positions. `missing_rms_eps`: what
// the family's reference takes where rms_norm_eps is absent.
void read_common(const JsonObject& json, double missing_rms_eps, ModelConfig& config);
// max_position_embeddings and rope_theta, in their older place or in rope_parameters; refused where
// two places contradict each other, or where only a part of a head is rotated.
// `rope_scaling`: what stretches positions, if anything does, for the caller to read or refuse.
struct RopeScaling {
  std::optional<JsonObject> object;
  std::string type;      // "default" where nothing is stretched
  std::string type_key;  // "type", "rope_type"
};
RopeScaling read_positions(const JsonObject& json, ModelConfig& config);
void refuse_scaling(const RopeScaling& scaling);
// Heads that divide, of an even width.
void check_heads(const JsonObject& json, const ModelConfig& config);
// experts, top_k and their agreement.
void read_expert_counts(const JsonObject& json, const std::string& experts_key,
                        ModelConfig& config);
// Error where no layer has experts.
void check_moe_layers(const JsonObject& json, const std::string& key, const ModelConfig& config);

// read_model_config from config.json's content alone; `name` stands in messages.
ModelConfig parse_model_config(const Json& json, const std::string& name);

void read_olmoe_config(const JsonObject& json, ModelConfig& config);
void read_qwen3_moe_config(const JsonObject& json, ModelConfig& config);
void read_deepseek_v2_config(const JsonObject& json, ModelConfig& config);

}  // namespace gracemoe
