#include "engine/kv_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace gracemoe {
namespace {

// A head's keys lie a whole position apart, often a page: from small pages each would cost a miss
// of the address tables too. Before the memory is touched; a hint, which may fail without harm.
void advise_huge_pages(std::byte* data, std::size_t size) {
  constexpr std::uintptr_t kHugePage = std::uintptr_t{2} << 20;
  const auto begin = (reinterpret_cast<std::uintptr_t>(data) + kHugePage - 1) / kHugePage;
  const auto end = (reinterpret_cast<std::uintptr_t>(data) + size) / kHugePage;
  if (begin < end)
    madvise(reinterpret_cast<void*>(begin * kHugePage), (end - begin) * kHugePage, MADV_HUGEPAGE);
}

}  // namespace

KvCache::KvCache(const std::vector<CachePlanes>& planes, int capacity)
    : planes_(planes), capacity_(capacity) {
  GM_CHECK(capacity > 0, "a KV cache needs room for at least one position");
  std::size_t total = 0;
  for (const CachePlanes& plane : planes) {
    key_offsets_.push_back(total);
    total += plane.keys * static_cast<std::size_t>(capacity);
    value_offsets_.push_back(total);
    total += plane.values * static_cast<std::size_t>(capacity);
  }
  memory_.reserve(total);
  advise_huge_pages(memory_.data(), total);
  memory_.resize(total);
}

void KvCache::set_length(int length) {
  GM_CHECK(length >= length_ && length <= capacity_, "KV cache length out of its capacity");
  length_ = length;
}

void KvCache::truncate(int length) {
  GM_CHECK(length >= 0 && length <= length_, "KV cache cut to more than it holds");
  length_ = length;
}

KvCache KvCache::grown(int capacity) const {
  KvCache larger(planes_, std::max(capacity, capacity_));
  larger.length_ = length_;
  const auto copy = [&](std::size_t from, std::size_t to, std::size_t width) {
    std::copy_n(memory_.data() + from, width * static_cast<std::size_t>(length_),
                larger.memory_.data() + to);
  };
  for (std::size_t layer = 0; layer < planes_.size(); ++layer) {
    copy(key_offsets_[layer], larger.key_offsets_[layer], planes_[layer].keys);
    copy(value_offsets_[layer], larger.value_offsets_[layer], planes_[layer].values);
  }
  return larger;
}

}  // namespace gracemoe
