// Qwen3-MoE: grouped-query attention whose heads have a width of their own, a q/k norm over each
// head, rope by halves; layers without experts where the config says so.
#include "engine/architectures.h"

namespace gracemoe {

TransformerParts load_qwen3_moe(ModelLoader& load) {
  const ModelConfig& c = load.config();
  const GroupedQueryOptions options{c.heads,    c.kv_heads,
                                    c.head_dim, plain_rope(c.head_dim, c.rope_theta),
                                    c.rms_eps,  QueryKeyNorm::kPerHead};
  return load.decoder([&](const std::string& p) {
    GroupedQueryWeights w = load.projections(p);
    w.query_norm = load.vector(p + "q_norm.weight", c.head_dim);
    w.key_norm = load.vector(p + "k_norm.weight", c.head_dim);
    return make_grouped_query_attention(options, std::move(w), load.backend());
  });
}

}  // namespace gracemoe
