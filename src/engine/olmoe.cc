// OLMoE: multi-head attention with q/k norms over all heads together, rope by halves, every layer a
// mixture of experts.
#include "engine/architectures.h"
#include "engine/loading.h"

namespace gracemoe {
namespace {

std::unique_ptr<AttentionBlock> load_attention(const ModelConfig& c, Checkpoint& checkpoint,
                                               const Backend& backend, const std::string& p) {
  const int q = c.heads * c.head_dim;
  const int kv = c.kv_heads * c.head_dim;
  GroupedQueryWeights w;
  w.query = load_linear(checkpoint, backend, p + "q_proj.weight", q, c.hidden);
  w.key = load_linear(checkpoint, backend, p + "k_proj.weight", kv, c.hidden);
  w.value = load_linear(checkpoint, backend, p + "v_proj.weight", kv, c.hidden);
  w.output = load_linear(checkpoint, backend, p + "o_proj.weight", c.hidden, q);
  w.query_norm = load_vector(checkpoint, p + "q_norm.weight", q);
  w.key_norm = load_vector(checkpoint, p + "k_norm.weight", kv);
  return make_grouped_query_attention(
      {c.heads, c.kv_heads, c.head_dim, c.rope_theta, c.rms_eps, QueryKeyNorm::kWhole},
      std::move(w), backend);
}

std::unique_ptr<FeedForwardBlock> load_moe(const ModelConfig& c, Checkpoint& checkpoint,
                                           const Backend& backend, const ModelPlacement& placement,
                                           int layer, const std::string& p) {
  MoeLayerWeights w;
  w.gate = backend.linear_float32(weight(checkpoint, p + "gate.weight", c.experts, c.hidden));
  w.local_experts = placement.plan.experts_on(layer, placement.context.device);
  w.experts =
      load_experts(checkpoint, backend, p + "experts.", w.local_experts, c.expert_width, c.hidden);
  return make_moe_layer(layer, c.hidden, {c.experts, c.top_k, c.normalize_top_k}, std::move(w),
                        backend, placement.context);
}

}  // namespace

TransformerParts load_olmoe(const ModelConfig& c, Checkpoint& checkpoint, const Backend& backend,
                            const ModelPlacement& placement) {
  TransformerParts parts;
  const std::span<const bf16> embedding =
      weight(checkpoint, "model.embed_tokens.weight", c.vocab, c.hidden).data;
  parts.embedding.assign(embedding.begin(), embedding.end());
  for (int layer = 0; layer < c.layers; ++layer) {
    const std::string p = "model.layers." + std::to_string(layer) + ".";
    TransformerLayer part;
    part.attention_norm = load_vector(checkpoint, p + "input_layernorm.weight", c.hidden);
    part.attention = load_attention(c, checkpoint, backend, p + "self_attn.");
    part.feed_forward_norm =
        load_vector(checkpoint, p + "post_attention_layernorm.weight", c.hidden);
    part.feed_forward = load_moe(c, checkpoint, backend, placement, layer, p + "mlp.");
    parts.layers.push_back(std::move(part));
  }
  parts.final_norm = load_vector(checkpoint, "model.norm.weight", c.hidden);
  parts.head = load_linear(checkpoint, backend,
                           c.tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight",
                           c.vocab, c.hidden);
  return parts;
}

}  // namespace gracemoe
