// A decoder-only transformer over common parts; an architecture is a function that fills
// TransformerParts from a checkpoint.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/bf16.h"
#include "compute/backend.h"
#include "engine/attention.h"
#include "engine/feed_forward.h"
#include "engine/moe_layer.h"
#include "engine/step_batch.h"
#include "model/checkpoint.h"
#include "model/model_config.h"
#include "plan/plan.h"

namespace gracemoe {

struct TransformerLayer {
  std::vector<bf16> attention_norm;  // [hidden]
  std::unique_ptr<AttentionBlock> attention;
  std::vector<bf16> feed_forward_norm;  // [hidden]
  std::unique_ptr<FeedForwardBlock> feed_forward;
};

struct TransformerParts {
  std::vector<bf16> embedding;  // [vocab, hidden]
  std::vector<TransformerLayer> layers;
  std::vector<bf16> final_norm;  // [hidden]
  std::unique_ptr<Linear> head;  // [vocab, hidden]
};

class Transformer {
 public:
  Transformer(const ModelConfig& config, TransformerParts parts, const Backend& backend,
              RoutingRecorder* recorder);

  const ModelConfig& config() const { return config_; }
  // A cache for one sequence of up to `positions` tokens.
  KvCache make_cache(int positions) const;
  // Computes the batch, fills the caches and sets their lengths; logits of batch.logit_rows, in
  // order: [logit_rows, vocab]. Collective over all devices: every device calls it once a step,
  // with an empty batch if it has no work. The last layer's feed-forward runs only for those rows,
  // unless the routing is recorded. Errors (kInput): a token id outside the vocabulary.
  std::span<const float> forward(const StepBatch& batch);

 private:
  void embed(const StepBatch& batch);
  void norm(const StepBatch& batch, std::span<const bf16> weight);
  void add_block(const StepBatch& batch);
  void keep_wanted(const StepBatch& batch);
  void head(const StepBatch& batch);

  ModelConfig config_;
  TransformerParts parts_;
  const Backend& backend_;
  RoutingRecorder* recorder_;
  StepBatch wanted_;                                     // the rows of hidden_ after keep_wanted()
  std::vector<float> hidden_, normed_, block_, logits_;  // [rows, hidden] each; [logit rows, vocab]
};

// What a model is made of besides its checkpoint: the device loads attention, gates, embedding and
// head, and of every layer only the experts that the plan puts on context.device.
struct ModelPlacement {
  const Plan& plan;
  MoeContext context;
};

// Builds the model of config.architecture. Errors (kInput): tensors missing or of another shape or
// type.
std::unique_ptr<Transformer> make_transformer(const ModelConfig& config, Checkpoint& checkpoint,
                                              const Backend& backend,
                                              const ModelPlacement& placement);

}  // namespace gracemoe
