// Memory that a device needs for a model under a plan, told before anything is loaded.
#pragma once
#include <cstdint>

#include "model/checkpoint.h"
#include "model/model_config.h"
#include "plan/plan.h"

namespace gracemoe {

struct FootprintOptions {
  std::int64_t element_bytes = 2;    // of rows and caches: 2, or 4 with the reference backend
  bool int8 = false;                 // weights kept in 8 bits where CpuOptions::weights says so
  int rows = 512;                    // of a step
  std::int64_t cache_positions = 0;  // of all sequences held at once, together
  int logit_rows = 1;                // of a step, the most that logits are computed of
};

// Bytes.
struct Footprint {
  std::int64_t dense = 0;  // attention, norms, gates, embedding, head, dense layers, shared experts
  std::int64_t experts = 0;  // this device's instances
  std::int64_t cache = 0;
  std::int64_t buffers = 0;  // activations and messages of a step, an estimate from above
  std::int64_t total() const { return dense + experts + cache + buffers; }
};

// Bytes that one expert takes, and one position of one sequence in the caches of all layers.
std::int64_t expert_bytes(const ModelConfig& config, bool int8);
std::int64_t cache_bytes(const ModelConfig& config, std::int64_t element_bytes);

// Weights count 2 bytes an element, as bf16, whatever type the checkpoint has, or what int8 takes.
Footprint footprint(const ModelConfig& config, const Checkpoint& checkpoint, const Plan& plan,
                    int device, const FootprintOptions& options);

}  // namespace gracemoe
