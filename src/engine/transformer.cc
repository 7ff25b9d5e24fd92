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
                         RoutingRecorder* recorder, int lanes)
    : config_(config),
      parts_(std::move(parts)),
      backend_(backend),
      recorder_(recorder),
      lanes_(lanes) {}

KvCache Transformer::make_cache(int positions) const {
  std::vector<CachePlanes> planes;
  for (const TransformerLayer& layer : parts_.layers)
    planes.push_back(layer.attention->cache_planes());
  return {planes, positions};
}

std::span<const float> Transformer::forward(const StepBatch& batch) {
  GM_CHECK(batch.micro_batches >= 1 && batch.micro_batches <= lanes_,
           "more micro-batches than lanes");
  embed(batch);
  if (recorder_ != nullptr) recorder_->begin_step(batch);
  normed_.resize(hidden_.size());
  block_.resize(hidden_.size());
  const std::vector<Lane> lanes = make_lanes(batch);
  for (const Lane& lane : lanes) begin_layer(0, lane);
  // While a lane's rows are on their way the others compute: experts here, and below what lies
  // between two exchanges.
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    for (const Lane& lane : lanes) parts_.layers[i].feed_forward->compute(lane.number);
    for (const Lane& lane : lanes) {
      finish_layer(i, lane);
      if (i + 1 < parts_.layers.size()) begin_layer(i + 1, lane);
    }
  }
  for (const SequenceSpan& span : batch.spans)
    span.cache->set_length(span.first_position + span.rows);
  head(batch);
  return logits_;
}

std::vector<Transformer::Lane> Transformer::make_lanes(const StepBatch& batch) {
  if (batch.micro_batches == 1) return {{0, &batch, hidden_, normed_, block_}};
  micro_batches_ = cut_batch(batch);
  const auto width = static_cast<std::size_t>(config_.hidden);
  std::vector<Lane> lanes;
  for (const StepBatch& part : micro_batches_) {
    const std::size_t first = static_cast<std::size_t>(part.first_row) * width;
    const std::size_t size = static_cast<std::size_t>(part.rows()) * width;
    lanes.push_back({static_cast<int>(lanes.size()), &part, std::span(hidden_).subspan(first, size),
                     std::span(normed_).subspan(first, size),
                     std::span(block_).subspan(first, size)});
  }
  return lanes;
}

void Transformer::begin_layer(std::size_t i, const Lane& lane) {
  TransformerLayer& layer = parts_.layers[i];
  backend_.rms_norm(lane.hidden, layer.attention_norm, config_.rms_eps, lane.normed);
  layer.attention->forward(static_cast<int>(i), *lane.batch, lane.normed, lane.block);
  add(lane.hidden, lane.block);
  backend_.rms_norm(lane.hidden, layer.feed_forward_norm, config_.rms_eps, lane.normed);
  layer.feed_forward->begin(lane.number, *lane.batch, lane.hidden, lane.normed);
}

void Transformer::finish_layer(std::size_t i, const Lane& lane) {
  parts_.layers[i].feed_forward->finish(lane.number, lane.block);
  add(lane.hidden, lane.block);
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
  return std::make_unique<Transformer>(config, parts(), backend, placement.context.recorder,
                                       placement.context.exchange->lanes());
}

}  // namespace gracemoe
