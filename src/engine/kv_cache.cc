#include "engine/kv_cache.h"

#include "base/error.h"

namespace gracemoe {

KvCache::KvCache(const std::vector<CachePlanes>& planes, int capacity) : capacity_(capacity) {
  GM_CHECK(capacity > 0, "a KV cache needs room for at least one position");
  std::size_t total = 0;
  for (const CachePlanes& plane : planes) {
    key_offsets_.push_back(total);
    total += plane.keys * static_cast<std::size_t>(capacity);
    value_offsets_.push_back(total);
    total += plane.values * static_cast<std::size_t>(capacity);
  }
  memory_.resize(total);
}

void KvCache::set_length(int length) {
  GM_CHECK(length >= length_ && length <= capacity_, "KV cache length out of its capacity");
  length_ = length;
}

}  // namespace gracemoe
