// DeepSeek-V2: latent attention with YaRN positions; the first layers dense, then mixtures with
// shared experts.
//
// The published rope turns adjacent pairs (2i, 2i + 1). Here the rows that make the rotated part of
// queries and keys are reordered, evens first, so that the same pairs lie half a head apart: scores
// are sums over all elements, whose order does not matter to their value.
#include <cmath>

#include "engine/architectures.h"
#include "engine/latent_attention.h"
#include "engine/yarn.h"

namespace gracemoe {
namespace {

// Rows first + 0, 2, 4, ..., then first + 1, 3, 5, ...
void add_evens_first(std::vector<int>& rows, int first, int count) {
  for (int odd = 0; odd < 2; ++odd)
    for (int i = odd; i < count; i += 2) rows.push_back(first + i);
}

void load_queries(ModelLoader& load, const std::string& p, LatentAttentionWeights& w) {
  const ModelConfig& c = load.config();
  const LatentAttentionConfig& d = c.latent;
  if (d.query_rank > 0) {
    w.query_down = load.linear(p + "q_a_proj.weight", d.query_rank, c.hidden);
    w.query_norm = load.vector(p + "q_a_layernorm.weight", d.query_rank);
  }
  const WeightView query =
      load.weight(p + (d.query_rank > 0 ? "q_b_proj.weight" : "q_proj.weight"),
                  c.heads * c.head_dim, d.query_rank > 0 ? d.query_rank : c.hidden);
  std::vector<int> nope, rope;
  for (int head = 0; head < c.heads; ++head) {
    for (int i = 0; i < d.nope_dim; ++i) nope.push_back(head * c.head_dim + i);
    add_evens_first(rope, head * c.head_dim + d.nope_dim, d.rope_dim);
  }
  w.query_nope = load.backend().linear(select_rows(query, nope));
  w.query_rope = load.backend().linear(select_rows(query, rope));
}

void load_latents(ModelLoader& load, const std::string& p, LatentAttentionWeights& w) {
  const ModelConfig& c = load.config();
  const LatentAttentionConfig& d = c.latent;
  const WeightView down =
      load.weight(p + "kv_a_proj_with_mqa.weight", d.kv_rank + d.rope_dim, c.hidden);
  std::vector<int> rope;
  add_evens_first(rope, d.kv_rank, d.rope_dim);
  w.latent = load.backend().linear(row_range(down, 0, d.kv_rank));
  w.key_rope = load.backend().linear(select_rows(down, rope));
  w.latent_norm = load.vector(p + "kv_a_layernorm.weight", d.kv_rank);
  const WeightView up =
      load.weight(p + "kv_b_proj.weight", c.heads * (d.nope_dim + d.value_dim), d.kv_rank);
  for (int head = 0; head < c.heads; ++head) {
    const int first = head * (d.nope_dim + d.value_dim);
    w.absorb_key.push_back(load.backend().linear(transposed(row_range(up, first, d.nope_dim))));
    w.value.push_back(load.backend().linear(row_range(up, first + d.nope_dim, d.value_dim)));
  }
}

LatentAttentionOptions attention_options(const ModelConfig& c) {
  LatentAttentionOptions options;
  options.heads = c.heads;
  options.dims = c.latent;
  options.rope = c.yarn ? yarn_rope(c.latent.rope_dim, c.rope_theta, *c.yarn)
                        : plain_rope(c.latent.rope_dim, c.rope_theta);
  const double stretch = c.yarn ? yarn_mscale(c.yarn->factor, c.yarn->mscale_all_dim) : 1;
  options.scale = static_cast<float>(stretch * stretch / std::sqrt(c.head_dim));
  return options;  // norm_eps stays 1e-6: the published code does not take it from the config
}

}  // namespace

TransformerParts load_deepseek_v2(ModelLoader& load) {
  const ModelConfig& c = load.config();
  const LatentAttentionOptions options = attention_options(c);
  return load.decoder([&](const std::string& p) {
    LatentAttentionWeights w;
    load_queries(load, p, w);
    load_latents(load, p, w);
    w.output = load.linear(p + "o_proj.weight", c.hidden, c.heads * c.latent.value_dim);
    return make_latent_attention(options, std::move(w), load.backend());
  });
}

}  // namespace gracemoe
