// Multi-head latent attention (DeepSeek-V2) over a compressed cache: a position keeps one latent
// vector, from which all heads' keys and values could be made, and one rotated key that all heads
// share - kv_rank + rope_dim elements in all.
//
// Keys and values are never made. With c the latent of a position, W_k and W_v a head's matrices:
//   q . (W_k c) = (W_k^T q) . c      so the query is taken into the latent space,
//   sum_j p_j (W_v c_j) = W_v (sum_j p_j c_j)      and the mix of latents out of it,
// and attention itself runs over the cached rows as one key head that all query heads share. The
// same for one row and for many: a row's bits do not depend on its batch.
#pragma once
#include <memory>
#include <vector>

#include "compute/backend.h"
#include "engine/attention.h"
#include "model/model_config.h"

namespace gracemoe {

struct LatentAttentionOptions {
  int heads = 0;
  LatentAttentionConfig dims;
  Rope rope{};             // of rope_dim; pairs by halves (the loader reorders the weights' rows)
  float scale = 1;         // of the scores
  double norm_eps = 1e-6;  // of the latents' norms
};

struct LatentAttentionWeights {
  std::unique_ptr<Linear> query_down;               // [query_rank, hidden]; null if query_rank is 0
  std::vector<bf16> query_norm;                     // [query_rank]; empty likewise
  std::unique_ptr<Linear> query_nope;               // [heads * nope_dim, query_rank or hidden]
  std::unique_ptr<Linear> query_rope;               // [heads * rope_dim, query_rank or hidden]
  std::unique_ptr<Linear> latent;                   // [kv_rank, hidden]
  std::vector<bf16> latent_norm;                    // [kv_rank]
  std::unique_ptr<Linear> key_rope;                 // [rope_dim, hidden]
  std::vector<std::unique_ptr<Linear>> absorb_key;  // [heads]: W_k^T [kv_rank, nope_dim]
  std::vector<std::unique_ptr<Linear>> value;       // [heads]: W_v [value_dim, kv_rank]
  std::unique_ptr<Linear> output;                   // [hidden, heads * value_dim]
};

std::unique_ptr<AttentionBlock> make_latent_attention(const LatentAttentionOptions& options,
                                                      LatentAttentionWeights weights,
                                                      const Backend& backend);

}  // namespace gracemoe
