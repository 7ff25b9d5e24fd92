#include "engine/transformer.h"

#include <algorithm>

#include "base/error.h"
#include "engine/architectures.h"

namespace gracemoe {
namespace {

void add(std::span<float> x, std::span<const float> y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

}  // namespace

Transformer::Transformer(const ModelConfig& config, TransformerParts parts, const Backend& backend,
                         RoutingRecorder* recorder)
    : config_(config), parts_(std::move(parts)), backend_(backend), recorder_(recorder) {}

KvCache Transformer::make_cache(int positions) const {
  std::vector<CachePlanes> planes;
  for (const TransformerLayer& layer : parts_.layers)
    planes.push_back(layer.attention->cache_planes());
  return {planes, positions};
}

std::span<const float> Transformer::forward(const StepBatch& batch) {
  embed(batch);
  if (recorder_ != nullptr) recorder_->begin_step(batch);
  normed_.resize(hidden_.size());
  block_.resize(hidden_.size());
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    TransformerLayer& layer = parts_.layers[i];
    backend_.rms_norm(hidden_, layer.attention_norm, config_.rms_eps, normed_);
    layer.attention->forward(static_cast<int>(i), batch, normed_, block_);
    add(hidden_, block_);
    backend_.rms_norm(hidden_, layer.feed_forward_norm, config_.rms_eps, normed_);
    layer.feed_forward->forward(batch, hidden_, normed_, block_);
    add(hidden_, block_);
  }
  for (const SequenceSpan& span : batch.spans)
    span.cache->set_length(span.first_position + span.rows);
  head(batch);
  return logits_;
}

void Transformer::embed(const StepBatch& batch) {
  const auto width = static_cast<std::size_t>(config_.hidden);
  hidden_.resize(static_cast<std::size_t>(batch.rows()) * width);
  float* to = hidden_.data();
  for (const int token : batch.tokens) {
    if (token < 0 || token >= config_.vocab)
      fail_input({"token id", std::to_string(token), "0 to " + std::to_string(config_.vocab - 1),
                  "use the tokenizer of the model's own folder"});
    const bf16* from = parts_.embedding.data() + static_cast<std::size_t>(token) * width;
    for (std::size_t i = 0; i < width; ++i) *to++ = to_float(from[i]);
  }
}

void Transformer::head(const StepBatch& batch) {
  const auto width = static_cast<std::size_t>(config_.hidden);
  const int rows = static_cast<int>(batch.logit_rows.size());
  normed_.resize(static_cast<std::size_t>(rows) * width);
  logits_.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(config_.vocab));
  if (rows == 0) return;
  for (std::size_t i = 0; i < batch.logit_rows.size(); ++i) {
    const auto from =
        static_cast<std::ptrdiff_t>(static_cast<std::size_t>(batch.logit_rows[i]) * width);
    std::copy_n(hidden_.begin() + from, width,
                normed_.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  backend_.rms_norm(normed_, parts_.final_norm, config_.rms_eps, normed_);
  parts_.head->forward(normed_, rows, logits_);
}

std::unique_ptr<Transformer> make_transformer(const ModelConfig& config, Checkpoint& checkpoint,
                                              const Backend& backend,
                                              const ModelPlacement& placement) {
  ModelLoader load(config, checkpoint, backend, placement);
  const auto parts = [&] {
    switch (config.architecture) {
      case Architecture::kOlmoe:
        return load_olmoe(load);
      case Architecture::kQwen3Moe:
        return load_qwen3_moe(load);
      case Architecture::kDeepseekV2:
        return load_deepseek_v2(load);
    }
    fail_input({"architecture", config.architecture_name, "one that the engine has", ""});
  };
  return std::make_unique<Transformer>(config, parts(), backend, placement.context.recorder);
}

}  // namespace gracemoe
