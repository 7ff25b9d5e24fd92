#include "engine/loading.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <set>
#include <string_view>

#include "base/error.h"
#include "engine/mlp.h"
#include "model/damage.h"
#include "model/model_tensors.h"

namespace gracemoe {
namespace {

// Enough for a fast disk while a large tensor is packed; little beside a model. The ranks of a
// machine share it.
constexpr std::size_t kReadAhead = std::size_t{256} << 20;

std::size_t read_ahead_of(const SharedHashes* hashes) {
  return kReadAhead / static_cast<std::size_t>(hashes == nullptr ? 1 : hashes->members());
}

// What is in the model's layers and is not taken would have changed the answers. Layers beyond the
// config's (for the prediction of several tokens) and tables of rotary positions may be there.
// Decided alike on every rank.
void refuse_unknown(const Checkpoint& checkpoint, const ModelConfig& config) {
  constexpr std::string_view kLayers = "model.layers.";
  std::set<std::string> known;
  for (ModelTensor& tensor : model_tensors(config)) known.insert(std::move(tensor.name));
  for (const auto& [name, tensor] : checkpoint.all()) {
    if (!name.starts_with(kLayers) || name.find("rotary_emb") != name.npos) continue;
    int layer = -1;
    std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
    if (layer >= config.layers || known.contains(name)) continue;
    fail_input({.what = checkpoint.folder().string() + ": tensor '" + name + "'",
                .got = "a part of the model that " + config.architecture_name + " has no use for",
                .wanted = "weights that are all used",
                .action = "this model needs a feature that gracemoe does not have, or config.json "
                          "and the weights do not belong together"});
  }
}

const Checkpoint& checked(const Checkpoint& checkpoint, const ModelConfig& config) {
  refuse_unknown(checkpoint, config);
  return checkpoint;
}

}  // namespace

ModelLoader::ModelLoader(const ModelConfig& config, Checkpoint& checkpoint, const Backend& backend,
                         const ModelPlacement& placement)
    : config_(config),
      checkpoint_(checkpoint),
      backend_(backend),
      placement_(placement),
      read_ahead_(std::make_shared<ReadAhead>(
          loading_order(checked(checkpoint, config), config, placement.plan,
                        placement.context.device, placement.hashes.get()),
          read_ahead_of(placement.hashes.get()), placement.hashes)) {}

Bf16Weights ModelLoader::read(const std::string& name, const std::vector<std::int64_t>& shape) {
  return bf16_weights(checkpoint_.tensor(name, shape), placement_.rounding,
                      checkpoint_.folder().string() + ": tensor '" + name + "'");
}

WeightView ModelLoader::weight(const std::string& name, int out, int in) {
  const std::span<const std::byte> bytes = checkpoint_.tensor(name, {out, in}).bytes;
  const Bf16Weights weights = read(name, {out, in});
  // The owner's last copy may be dropped on a thread that packs.
  const auto taken = [name, bytes, done = done_, ahead = read_ahead_, hashes = placement_.hashes,
                      in_file = checkpoint_.in_files(),
                      count = static_cast<std::int64_t>(weights.data.size_bytes()),
                      converted = weights.converted](const void*) {
    if (hashes != nullptr) hashes->take(name);
    if (in_file) MappedFile::release(bytes);
    ahead->taken(bytes.size());
    *done += count;
  };
  return {weights.data, out, in, std::shared_ptr<const void>(bytes.data(), taken)};
}

std::unique_ptr<Linear> ModelLoader::linear(const std::string& name, int out, int in) {
  return backend_.linear(weight(name, out, in));
}

std::vector<bf16> ModelLoader::vector(const std::string& name, int size) {
  const Bf16Weights weights = read(name, {size});
  *done_ += std::int64_t{size} * 2;
  return {weights.data.begin(), weights.data.end()};
}

GroupedQueryWeights ModelLoader::projections(const std::string& prefix) {
  const int query = config_.heads * config_.head_dim;
  const int key = config_.kv_heads * config_.head_dim;
  GroupedQueryWeights w;
  w.query = linear(prefix + "q_proj.weight", query, config_.hidden);
  w.key = linear(prefix + "k_proj.weight", key, config_.hidden);
  w.value = linear(prefix + "v_proj.weight", key, config_.hidden);
  w.output = linear(prefix + "o_proj.weight", config_.hidden, query);
  return w;
}

TransformerParts ModelLoader::decoder(const AttentionLoader& attention) {
  TransformerParts parts;
  for (int i = 0; i < config_.layers; ++i) {
    parts.layers.push_back(layer(i, attention));
    tell_progress();
  }
  parts.final_norm = vector("model.norm.weight", config_.hidden);
  parts.head = linear(config_.tied_embeddings ? kEmbedding : "lm_head.weight", config_.vocab,
                      config_.hidden);
  const Bf16Weights embedding = read(kEmbedding, {config_.vocab, config_.hidden});
  parts.embedding = {embedding.data, config_.vocab, config_.hidden, embedding.converted};
  if (!config_.tied_embeddings) *done_ += static_cast<std::int64_t>(embedding.data.size_bytes());
  parts.blame = blame(config_.layers);
  read_ahead_->finish();
  tell_progress();
  return parts;
}

std::function<std::string()> ModelLoader::blame(int layer) const {
  const auto& gates = config_.moe_layers;
  const auto here = std::lower_bound(gates.begin(), gates.end(), layer);
  const int first = here == gates.begin() ? 0 : *std::prev(here);
  return [&checkpoint = checkpoint_, first, layer] { return damage(checkpoint, first, layer); };
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
  return make_dense_block(mlp(prefix, config_.dense_width), backend_);
}

std::unique_ptr<FeedForwardBlock> ModelLoader::moe(int moe_layer, const std::string& prefix) {
  MoeLayerWeights w;
  w.gate = backend_.linear_float32(weight(prefix + "gate.weight", config_.experts, config_.hidden));
  w.local_experts = placement_.plan.experts_on(moe_layer, placement_.context.device);
  std::vector<ExpertWeights> local;
  for (const int id : w.local_experts)
    local.push_back(expert(prefix + "experts." + std::to_string(id) + ".", config_.expert_width));
  w.experts = backend_.experts(std::move(local));
  if (config_.shared_width > 0) w.shared = mlp(prefix + "shared_experts.", config_.shared_width);
  RouterOptions router = router_options(config_);
  router.layer = config_.moe_layers[static_cast<std::size_t>(moe_layer)];
  router.blame = blame(router.layer);
  return make_moe_layer(moe_layer, config_.hidden, router, std::move(w), backend_,
                        placement_.context);
}

ExpertWeights ModelLoader::expert(const std::string& prefix, int width) {
  return {weight(prefix + "gate_proj.weight", width, config_.hidden),
          weight(prefix + "up_proj.weight", width, config_.hidden),
          weight(prefix + "down_proj.weight", config_.hidden, width)};
}

std::unique_ptr<Mlp> ModelLoader::mlp(const std::string& prefix, int width) {
  return std::make_unique<Mlp>(backend_.mlp(expert(prefix, width)), config_.hidden);
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
