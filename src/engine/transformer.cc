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
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    const int layer = static_cast<int>(i);
    const ScopedSpan span(batch.profile, "layer", layer);
    norm(batch, parts_.layers[i].attention_norm);
    parts_.layers[i].attention->forward(layer, batch, normed_, block_);
    add_block(batch);
    // What the last layer's feed-forward gives is read by the head alone. A recorder wants the
    // choices of all rows.
    const bool last = i + 1 == parts_.layers.size() && recorder_ == nullptr;
    if (last) keep_wanted(batch);
    const StepBatch& rows = last ? wanted_ : batch;
    norm(rows, parts_.layers[i].feed_forward_norm);
    parts_.layers[i].feed_forward->forward(rows, hidden_, normed_, block_);
    add_block(rows);
  }
  for (const SequenceSpan& span : batch.spans)
    span.cache->set_length(span.first_position + span.rows);
  if (recorder_ != nullptr || parts_.layers.empty()) keep_wanted(batch);
  head(batch);
  return logits_;
}

void Transformer::norm(const StepBatch& batch, std::span<const bf16> weight) {
  const ScopedSpan span(batch.profile, "norm");
  normed_.resize(hidden_.size());
  block_.resize(hidden_.size());
  backend_.rms_norm(hidden_, weight, config_.rms_eps, normed_);
}

void Transformer::add_block(const StepBatch& batch) {
  const ScopedSpan span(batch.profile, "add");
  add(hidden_, block_);
}

// hidden_ and wanted_ become the rows of batch.logit_rows, each a span of its own.
void Transformer::keep_wanted(const StepBatch& batch) {
  const auto width = static_cast<std::size_t>(config_.hidden);
  wanted_ = {};
  wanted_.profile = batch.profile;
  auto span = batch.spans.begin();
  for (const int row : batch.logit_rows) {
    while (row >= span->first_row + span->rows) ++span;
    const auto from = hidden_.begin() + static_cast<std::ptrdiff_t>(row) * config_.hidden;
    std::copy_n(from, width, hidden_.begin() + std::ptrdiff_t{wanted_.rows()} * config_.hidden);
    wanted_.add(*span->cache, span->request, span->first_position + row - span->first_row,
                &batch.tokens[static_cast<std::size_t>(row)], 1);
  }
  hidden_.resize(batch.logit_rows.size() * width);
}

void Transformer::embed(const StepBatch& batch) {
  const ScopedSpan span(batch.profile, "embedding");
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
  const ScopedSpan span(batch.profile, "head");
  const int rows = static_cast<int>(batch.logit_rows.size());
  logits_.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(config_.vocab));
  if (rows == 0) return;
  normed_.resize(hidden_.size());
  backend_.rms_norm(hidden_, parts_.final_norm, config_.rms_eps, normed_);
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
