// Attention blocks: from normalised hidden states to the block's output, with the sequence's cache
// in between.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "base/bf16.h"
#include "compute/backend.h"
#include "engine/kv_cache.h"
#include "engine/step_batch.h"

namespace gracemoe {

class AttentionBlock {
 public:
  virtual ~AttentionBlock() = default;
  virtual CachePlanes cache_planes() const = 0;
  // x, out [rows, hidden]. Appends the rows' keys and values to their caches in `layer` (the
  // caches' length is not changed). A row's output depends on its sequence's earlier rows alone.
  virtual void forward(int layer, const StepBatch& batch, std::span<const float> x,
                       std::span<float> out) = 0;
};

enum class QueryKeyNorm {
  kNone,
  kWhole,    // over all heads together (OLMoE)
  kPerHead,  // over each head (Qwen3)
};

struct GroupedQueryOptions {
  int heads = 0, kv_heads = 0, head_dim = 0;
  Rope rope;
  double rms_eps = 1e-5;
  QueryKeyNorm norm = QueryKeyNorm::kNone;
};

struct GroupedQueryWeights {
  std::unique_ptr<Linear> query, key, value, output;
  std::vector<bf16> query_norm, key_norm;  // empty for kNone
};

std::unique_ptr<AttentionBlock> make_grouped_query_attention(const GroupedQueryOptions& options,
                                                             GroupedQueryWeights weights,
                                                             const Backend& backend);

}  // namespace gracemoe
