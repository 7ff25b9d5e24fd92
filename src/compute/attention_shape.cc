#include <cmath>

#include "compute/backend.h"

namespace gracemoe {

AttentionShape grouped_query_shape(int heads, int kv_heads, int head_dim) {
  return {.heads = heads,
          .kv_heads = kv_heads,
          .key_dim = head_dim,
          .value_dim = head_dim,
          .key_stride = kv_heads * head_dim,
          .value_stride = kv_heads * head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

}  // namespace gracemoe
