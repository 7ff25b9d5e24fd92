// Pieces that the architectures' loaders share: tensors by name, and the parts that all of them
// have.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "engine/attention.h"
#include "engine/read_ahead.h"
#include "engine/transformer.h"
#include "model/checkpoint.h"

namespace gracemoe {

// Loads one model for one device; all members outlive it, and the checkpoint the model. Errors
// (kInput): before anything is read, a tensor in the model's layers that no device takes; then
// tensors missing or of another shape or type.
class ModelLoader {
 public:
  ModelLoader(const ModelConfig& config, Checkpoint& checkpoint, const Backend& backend,
              const ModelPlacement& placement);
  const ModelConfig& config() const { return config_; }
  const Backend& backend() const { return backend_; }
  // Bytes, as bf16 whatever the files have, of weights that were packed or are kept as they are.
  std::int64_t bytes_done() const { return *done_; }

  // The view's owner gives the file's pages back when it is dropped: pack, then drop. By then, if
  // placement.hashes is there, the tensor has been hashed.
  WeightView weight(const std::string& name, int out, int in);
  std::unique_ptr<Linear> linear(const std::string& name, int out, int in);
  std::vector<bf16> vector(const std::string& name, int size);
  // prefix + "{q,k,v,o}_proj.weight"; no norms.
  GroupedQueryWeights projections(const std::string& prefix);

  // Embedding, norms, head and layers; `attention` makes a layer's block from its tensors' prefix
  // ("model.layers.0.self_attn.").
  using AttentionLoader = std::function<std::unique_ptr<AttentionBlock>(const std::string& prefix)>;
  TransformerParts decoder(const AttentionLoader& attention);

 private:
  TransformerLayer layer(int index, const AttentionLoader& attention);
  // Experts with their gate where config.moe_layers says so, else one MLP.
  std::unique_ptr<FeedForwardBlock> feed_forward(int layer, const std::string& prefix);
  std::unique_ptr<FeedForwardBlock> moe(int moe_layer, const std::string& prefix);
  // prefix + "{gate,up,down}_proj.weight".
  ExpertWeights expert(const std::string& prefix, int width);
  std::unique_ptr<Mlp> mlp(const std::string& prefix, int width);

  // What is to blame for numbers that are not finite in `layer` or, if that is config.layers,
  // behind all of them, when the gates of the layers before found none.
  std::function<std::string()> blame(int layer) const;
  Bf16Weights read(const std::string& name, const std::vector<std::int64_t>& shape);
  void tell_progress() const {
    if (placement_.progress) placement_.progress(bytes_done());
  }

  const ModelConfig& config_;
  Checkpoint& checkpoint_;
  const Backend& backend_;
  const ModelPlacement& placement_;
  std::shared_ptr<std::atomic<std::int64_t>> done_ = std::make_shared<std::atomic<std::int64_t>>(0);
  std::shared_ptr<ReadAhead> read_ahead_;
};

// The rows of `weight` that `rows` names, in that order, as a matrix of its own.
WeightView select_rows(const WeightView& weight, const std::vector<int>& rows);
WeightView transposed(const WeightView& weight);
// Rows first .. first + count - 1; no copy.
WeightView row_range(const WeightView& weight, int first, int count);

}  // namespace gracemoe
