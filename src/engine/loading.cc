#include "engine/loading.h"

#include <algorithm>

#include "engine/mlp.h"

namespace gracemoe {

WeightView ModelLoader::weight(const std::string& name, int out, int in) {
  return {checkpoint_.tensor(name, {out, in}).as<bf16>(), out, in};
}

std::unique_ptr<Linear> ModelLoader::linear(const std::string& name, int out, int in) {
  return backend_.linear(weight(name, out, in));
}

std::vector<bf16> ModelLoader::vector(const std::string& name, int size) {
  const std::span<const bf16> data = checkpoint_.tensor(name, {size}).as<bf16>();
  return {data.begin(), data.end()};
}

TransformerParts ModelLoader::decoder(const AttentionLoader& attention) {
  TransformerParts parts;
  const WeightView embedding = weight("model.embed_tokens.weight", config_.vocab, config_.hidden);
  parts.embedding.assign(embedding.data.begin(), embedding.data.end());
  for (int i = 0; i < config_.layers; ++i) parts.layers.push_back(layer(i, attention));
  parts.final_norm = vector("model.norm.weight", config_.hidden);
  parts.head = config_.tied_embeddings ? backend_.linear(embedding)
                                       : linear("lm_head.weight", config_.vocab, config_.hidden);
  return parts;
}

TransformerLayer ModelLoader::layer(int index, const AttentionLoader& attention) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  TransformerLayer part;
  part.attention_norm = vector(prefix + "input_layernorm.weight", config_.hidden);
  part.attention = attention(prefix + "self_attn.");
  part.feed_forward_norm = vector(prefix + "post_attention_layernorm.weight", config_.hidden);
  part.feed_forward = feed_forward(index, prefix + "mlp.");
  return part;
}

std::unique_ptr<FeedForwardBlock> ModelLoader::feed_forward(int layer, const std::string& prefix) {
  const auto& moe_layers = config_.moe_layers;
  const auto found = std::lower_bound(moe_layers.begin(), moe_layers.end(), layer);
  if (found != moe_layers.end() && *found == layer)
    return moe(static_cast<int>(found - moe_layers.begin()), prefix);
  return make_dense_block(
      std::make_unique<Mlp>(experts({prefix}, config_.dense_width), config_.hidden), backend_);
}

std::unique_ptr<FeedForwardBlock> ModelLoader::moe(int moe_layer, const std::string& prefix) {
  MoeLayerWeights w;
  w.gate = backend_.linear_float32(weight(prefix + "gate.weight", config_.experts, config_.hidden));
  w.local_experts = placement_.plan.experts_on(moe_layer, placement_.context.device);
  std::vector<std::string> prefixes;
  for (const int expert : w.local_experts)
    prefixes.push_back(prefix + "experts." + std::to_string(expert) + ".");
  w.experts = experts(prefixes, config_.expert_width);
  if (config_.shared_width > 0)
    w.shared = std::make_unique<Mlp>(experts({prefix + "shared_experts."}, config_.shared_width),
                                     config_.hidden);
  return make_moe_layer(moe_layer, config_.hidden, router_options(config_), std::move(w), backend_,
                        placement_.context);
}

std::unique_ptr<ExpertGroup> ModelLoader::experts(const std::vector<std::string>& prefixes,
                                                  int width) {
  std::vector<ExpertWeights> experts;
  for (const std::string& prefix : prefixes)
    experts.push_back({weight(prefix + "gate_proj.weight", width, config_.hidden),
                       weight(prefix + "up_proj.weight", width, config_.hidden),
                       weight(prefix + "down_proj.weight", config_.hidden, width)});
  return backend_.experts(std::move(experts));
}

WeightView select_rows(const WeightView& weight, const std::vector<int>& rows) {
  const auto in = static_cast<std::size_t>(weight.in);
  auto data = std::make_shared<std::vector<bf16>>();
  data->reserve(rows.size() * in);
  for (const int row : rows) {
    const auto from = weight.data.subspan(static_cast<std::size_t>(row) * in, in);
    data->insert(data->end(), from.begin(), from.end());
  }
  return {*data, static_cast<int>(rows.size()), weight.in, data};
}

WeightView transposed(const WeightView& weight) {
  const auto out = static_cast<std::size_t>(weight.out);
  const auto in = static_cast<std::size_t>(weight.in);
  auto data = std::make_shared<std::vector<bf16>>(out * in);
  for (std::size_t o = 0; o < out; ++o)
    for (std::size_t i = 0; i < in; ++i) (*data)[i * out + o] = weight.data[o * in + i];
  return {*data, weight.in, weight.out, data};
}

WeightView row_range(const WeightView& weight, int first, int count) {
  const auto in = static_cast<std::size_t>(weight.in);
  return {weight.data.subspan(static_cast<std::size_t>(first) * in,
                              static_cast<std::size_t>(count) * in),
          count, weight.in, weight.owner};
}

}  // namespace gracemoe
