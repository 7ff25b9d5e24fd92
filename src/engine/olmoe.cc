// OLMoE: multi-head attention with q/k norms over all heads together, rope by halves, every layer a
// mixture of experts.
#include "engine/architectures.h"

namespace gracemoe {

TransformerParts load_olmoe(ModelLoader& load) {
  const ModelConfig& c = load.config();
  const GroupedQueryOptions options{c.heads,    c.kv_heads,
                                    c.head_dim, plain_rope(c.head_dim, c.rope_theta),
                                    c.rms_eps,  QueryKeyNorm::kWhole};
  return load.decoder([&](const std::string& p) {
    GroupedQueryWeights w = load.projections(p);
    w.query_norm = load.vector(p + "q_norm.weight", c.heads * c.head_dim);
    w.key_norm = load.vector(p + "k_norm.weight", c.kv_heads * c.head_dim);
    return make_grouped_query_attention(options, std::move(w), load.backend());
  });
}

}  // namespace gracemoe
