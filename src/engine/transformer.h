// A decoder-only transformer over common parts; an architecture is a function that fills
// TransformerParts from a checkpoint.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "compute/backend.h"
#include "engine/attention.h"
#include "engine/feed_forward.h"
#include "engine/moe_layer.h"
#include "engine/step_batch.h"
#include "model/checkpoint.h"
#include "model/model_config.h"
#include "model/shared_hashes.h"
#include "model/weights.h"
#include "plan/plan.h"

namespace gracemoe {

struct TransformerLayer {
  std::vector<bf16> attention_norm;  // [hidden]
  std::unique_ptr<AttentionBlock> attention;
  std::vector<bf16> feed_forward_norm;  // [hidden]
  std::unique_ptr<FeedForwardBlock> feed_forward;
};

struct TransformerParts {
  WeightView embedding;  // [vocab, hidden]; of a mapped file: rows are read when a token needs them
  std::vector<TransformerLayer> layers;
  std::vector<bf16> final_norm;        // [hidden]
  std::unique_ptr<Linear> head;        // [vocab, hidden]
  std::function<std::string()> blame;  // of logits that are not finite: RouterOptions::blame
};

class Transformer {
 public:
  Transformer(const ModelConfig& config, TransformerParts parts, const Backend& backend,
              RoutingRecorder* recorder, int lanes = 1);

  const ModelConfig& config() const { return config_; }
  // Micro-batches that a step may be cut into (StepBatch::micro_batches).
  int lanes() const { return lanes_; }
  // A cache for one sequence of up to `positions` tokens.
  KvCache make_cache(int positions) const;
  // Computes the batch, fills the caches and sets their lengths; logits of batch.logit_rows, in
  // order: [logit_rows, vocab]. Collective over all devices: every device calls it once a step,
  // with an empty batch if it has no work. The last layer's feed-forward runs only for those rows,
  // unless the routing is recorded. Errors (kInput): a token id outside the vocabulary;
  // logits that are not finite.
  std::span<const float> forward(const StepBatch& batch);

 private:
  // A micro-batch on its way through the layers: its rows of hidden_, normed_ and block_.
  struct Lane {
    int number;
    const StepBatch* batch;
    std::span<float> hidden, normed, block;
  };
  std::vector<Lane> make_lanes(const StepBatch& batch);
  void begin_layer(std::size_t layer, Lane& lane);
  void compute_layer(std::size_t layer, const Lane& lane);
  void finish_layer(std::size_t layer, const Lane& lane);
  void embed(const StepBatch& batch);
  void norm(const Lane& lane, std::span<const bf16> weight);
  void add_block(const Lane& lane);
  void keep_wanted(Lane& lane);
  void head(const StepBatch& batch, const std::vector<Lane>& lanes);

  ModelConfig config_;
  TransformerParts parts_;
  const Backend& backend_;
  RoutingRecorder* recorder_;
  int lanes_;
  std::vector<StepBatch> micro_batches_, wanted_;
  std::vector<float> hidden_, normed_, block_, logits_;  // [rows, hidden] each; [logit rows, vocab]
};

// What a model is made of besides its checkpoint: the device loads attention, gates, embedding and
// head, and of every layer only the experts that the plan puts on context.device.
struct ModelPlacement {
  const Plan& plan;
  MoeContext context;
  WeightRounding rounding = WeightRounding::kRefuse;
  // Called with the bytes of the checkpoint that have been taken in so far; may be empty.
  std::function<void(std::int64_t bytes)> progress{};
  // Told of what all ranks load while it is at hand; which of it this rank reads ahead. Null: none.
  std::shared_ptr<SharedHashes> hashes{};
};

// Builds the model of config.architecture. Errors (kInput): tensors missing or of another shape or
// type.
std::unique_ptr<Transformer> make_transformer(const ModelConfig& config, Checkpoint& checkpoint,
                                              const Backend& backend,
                                              const ModelPlacement& placement);

}  // namespace gracemoe
