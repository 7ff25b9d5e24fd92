#include "engine/transformer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/architectures.h"

namespace gracemoe {
namespace {

void add(std::span<float> x, std::span<const float> y) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

bool all_finite(std::span<const float> values) {
  bool finite = true;  // no early end: the loop is then one of vectors
  for (const float x : values) finite &= std::fabs(x) <= std::numeric_limits<float>::max();
  return finite;
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
  std::vector<Lane> lanes = make_lanes(batch);
  const std::size_t layers = parts_.layers.size();
  for (Lane& lane : lanes)
    if (layers > 0) begin_layer(0, lane);
  // While a lane's rows are on their way the others compute: experts here, and below what lies
  // between two exchanges.
  for (std::size_t i = 0; i < layers; ++i) {
    for (const Lane& lane : lanes) compute_layer(i, lane);
    for (Lane& lane : lanes) {
      finish_layer(i, lane);
      if (i + 1 < layers) begin_layer(i + 1, lane);
    }
  }
  for (const SequenceSpan& span : batch.spans)
    span.cache->set_length(span.first_position + span.rows);
  for (Lane& lane : lanes)
    if (recorder_ != nullptr || layers == 0) keep_wanted(lane);
  head(batch, lanes);
  return logits_;
}

std::vector<Transformer::Lane> Transformer::make_lanes(const StepBatch& batch) {
  wanted_.assign(static_cast<std::size_t>(batch.micro_batches), {});
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

void Transformer::begin_layer(std::size_t i, Lane& lane) {
  const ScopedSpan span(lane.batch->profile, "layer", static_cast<int>(i));
  TransformerLayer& layer = parts_.layers[i];
  norm(lane, layer.attention_norm);
  layer.attention->forward(static_cast<int>(i), *lane.batch, lane.normed, lane.block);
  add_block(lane);
  // What the last layer's feed-forward gives is read by the head alone. A recorder wants the
  // choices of all rows.
  if (i + 1 == parts_.layers.size() && recorder_ == nullptr) keep_wanted(lane);
  norm(lane, layer.feed_forward_norm);
  layer.feed_forward->begin(lane.number, *lane.batch, lane.hidden, lane.normed);
}

void Transformer::compute_layer(std::size_t i, const Lane& lane) {
  const ScopedSpan span(lane.batch->profile, "layer", static_cast<int>(i));
  parts_.layers[i].feed_forward->compute(lane.number);
}

void Transformer::finish_layer(std::size_t i, const Lane& lane) {
  const ScopedSpan span(lane.batch->profile, "layer", static_cast<int>(i));
  parts_.layers[i].feed_forward->finish(lane.number, lane.block);
  add_block(lane);
}

void Transformer::norm(const Lane& lane, std::span<const bf16> weight) {
  const ScopedSpan span(lane.batch->profile, "norm");
  backend_.rms_norm(lane.hidden, weight, config_.rms_eps, lane.normed);
}

void Transformer::add_block(const Lane& lane) {
  const ScopedSpan span(lane.batch->profile, "add");
  add(lane.hidden, lane.block);
}

// The lane becomes its batch's logit_rows, each a span of its own.
void Transformer::keep_wanted(Lane& lane) {
  const auto width = static_cast<std::size_t>(config_.hidden);
  const StepBatch& batch = *lane.batch;
  StepBatch& wanted = wanted_[static_cast<std::size_t>(lane.number)];
  wanted.profile = batch.profile;
  wanted.uneven = batch.uneven;
  auto span = batch.spans.begin();
  for (const int row : batch.logit_rows) {
    while (row >= span->first_row + span->rows) ++span;
    std::copy_n(lane.hidden.begin() + std::ptrdiff_t{row} * config_.hidden, width,
                lane.hidden.begin() + std::ptrdiff_t{wanted.rows()} * config_.hidden);
    wanted.add(*span->cache, span->request, span->first_position + row - span->first_row,
               &batch.tokens[static_cast<std::size_t>(row)], 1);
  }
  const std::size_t size = batch.logit_rows.size() * width;
  lane = {lane.number, &wanted, lane.hidden.first(size), lane.normed.first(size),
          lane.block.first(size)};
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
    const bf16* from = parts_.embedding.data.data() + static_cast<std::size_t>(token) * width;
    for (std::size_t i = 0; i < width; ++i) *to++ = to_float(from[i]);
  }
}

// The lanes hold the rows of batch.logit_rows, in order.
void Transformer::head(const StepBatch& batch, const std::vector<Lane>& lanes) {
  const ScopedSpan span(batch.profile, "head");
  const int rows = static_cast<int>(batch.logit_rows.size());
  logits_.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(config_.vocab));
  if (rows == 0) return;
  normed_.clear();
  for (const Lane& lane : lanes)
    normed_.insert(normed_.end(), lane.hidden.begin(), lane.hidden.end());
  backend_.rms_norm(normed_, parts_.final_norm, config_.rms_eps, normed_);
  parts_.head->forward(normed_, rows, logits_);
  if (!all_finite(logits_))
    fail_input({"logits", "a value that is not finite", "finite numbers", parts_.blame()});
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
