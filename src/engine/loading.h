// Pieces that the architectures' loaders share: tensors by name, and the parts that all of them
// have.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "engine/transformer.h"
#include "model/checkpoint.h"

namespace gracemoe {

// Loads one model for one device; all members outlive it. Errors (kInput): tensors missing or of
// another shape or type.
class ModelLoader {
 public:
  ModelLoader(const ModelConfig& config, Checkpoint& checkpoint, const Backend& backend,
              const ModelPlacement& placement)
      : config_(config), checkpoint_(checkpoint), backend_(backend), placement_(placement) {}
  const ModelConfig& config() const { return config_; }
  const Backend& backend() const { return backend_; }

  WeightView weight(const std::string& name, int out, int in);
  std::unique_ptr<Linear> linear(const std::string& name, int out, int in);
  std::vector<bf16> vector(const std::string& name, int size);

  // Embedding, norms, head and layers; `attention` makes a layer's block from its tensors' prefix
  // ("model.layers.0.self_attn.").
  using AttentionLoader = std::function<std::unique_ptr<AttentionBlock>(const std::string& prefix)>;
  TransformerParts decoder(const AttentionLoader& attention);

 private:
  TransformerLayer layer(int index, const AttentionLoader& attention);
  // Experts with their gate where config.moe_layers says so, else one MLP.
  std::unique_ptr<FeedForwardBlock> feed_forward(int layer, const std::string& prefix);
  std::unique_ptr<FeedForwardBlock> moe(int moe_layer, const std::string& prefix);
  // prefix + "{gate,up,down}_proj.weight" of each prefix, as one group.
  std::unique_ptr<ExpertGroup> experts(const std::vector<std::string>& prefixes, int width);

  const ModelConfig& config_;
  Checkpoint& checkpoint_;
  const Backend& backend_;
  const ModelPlacement& placement_;
};

// The rows of `weight` that `rows` names, in that order, as a matrix of its own.
WeightView select_rows(const WeightView& weight, const std::vector<int>& rows);
WeightView transposed(const WeightView& weight);
// Rows first .. first + count - 1; no copy.
WeightView row_range(const WeightView& weight, int first, int count);

}  // namespace gracemoe
