#include "model/model_tensors.h"

#include <algorithm>

#include "base/bf16.h"

namespace gracemoe {
namespace {

void add_mlp(std::vector<ModelTensor>& to, const std::string& prefix, std::int64_t width,
             std::int64_t hidden) {
  to.push_back({prefix + "gate_proj.weight", {width, hidden}});
  to.push_back({prefix + "up_proj.weight", {width, hidden}});
  to.push_back({prefix + "down_proj.weight", {hidden, width}});
}

void add_latent_attention(std::vector<ModelTensor>& to, const std::string& p,
                          const ModelConfig& c) {
  const LatentAttentionConfig& d = c.latent;
  const std::int64_t queries = std::int64_t{c.heads} * c.head_dim;
  if (d.query_rank > 0) {
    to.push_back({p + "q_a_proj.weight", {d.query_rank, c.hidden}});
    to.push_back({p + "q_a_layernorm.weight", {d.query_rank}});
    to.push_back({p + "q_b_proj.weight", {queries, d.query_rank}});
  } else {
    to.push_back({p + "q_proj.weight", {queries, c.hidden}});
  }
  to.push_back({p + "kv_a_proj_with_mqa.weight", {d.kv_rank + d.rope_dim, c.hidden}});
  to.push_back({p + "kv_a_layernorm.weight", {d.kv_rank}});
  to.push_back(
      {p + "kv_b_proj.weight", {std::int64_t{c.heads} * (d.nope_dim + d.value_dim), d.kv_rank}});
  to.push_back({p + "o_proj.weight", {c.hidden, std::int64_t{c.heads} * d.value_dim}});
}

void add_attention(std::vector<ModelTensor>& to, const std::string& p, const ModelConfig& c) {
  if (c.latent.kv_rank > 0) return add_latent_attention(to, p, c);
  const std::int64_t q = std::int64_t{c.heads} * c.head_dim;
  const std::int64_t kv = std::int64_t{c.kv_heads} * c.head_dim;
  const bool per_head = c.architecture == Architecture::kQwen3Moe;
  to.push_back({p + "q_proj.weight", {q, c.hidden}});
  to.push_back({p + "k_proj.weight", {kv, c.hidden}});
  to.push_back({p + "v_proj.weight", {kv, c.hidden}});
  to.push_back({p + "o_proj.weight", {c.hidden, q}});
  to.push_back({p + "q_norm.weight", {per_head ? c.head_dim : q}});
  to.push_back({p + "k_norm.weight", {per_head ? c.head_dim : kv}});
}

void add_feed_forward(std::vector<ModelTensor>& to, const std::string& p, const ModelConfig& c,
                      int layer) {
  if (!std::binary_search(c.moe_layers.begin(), c.moe_layers.end(), layer))
    return add_mlp(to, p, c.dense_width, c.hidden);
  to.push_back({p + "gate.weight", {c.experts, c.hidden}});
  for (int e = 0; e < c.experts; ++e)
    add_mlp(to, p + "experts." + std::to_string(e) + ".", c.expert_width, c.hidden);
  if (c.shared_width > 0) add_mlp(to, p + "shared_experts.", c.shared_width, c.hidden);
}

}  // namespace

std::int64_t ModelTensor::bytes() const {
  std::int64_t size = sizeof(bf16);
  for (const std::int64_t extent : shape) size *= extent;
  return size;
}

std::vector<ModelTensor> model_tensors(const ModelConfig& c) {
  std::vector<ModelTensor> all{{"model.embed_tokens.weight", {c.vocab, c.hidden}}};
  for (int layer = 0; layer < c.layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    add_attention(all, p + "self_attn.", c);
    add_feed_forward(all, p + "mlp.", c, layer);
    all.push_back({p + "input_layernorm.weight", {c.hidden}});
    all.push_back({p + "post_attention_layernorm.weight", {c.hidden}});
  }
  all.push_back({"model.norm.weight", {c.hidden}});
  if (!c.tied_embeddings) all.push_back({"lm_head.weight", {c.vocab, c.hidden}});
  return all;
}

}  // namespace gracemoe
