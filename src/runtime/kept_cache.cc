#include "runtime/kept_cache.h"

#include <algorithm>
#include <utility>

namespace gracemoe {

KvCache KeptCache::begin(const Request& request, int positions) {
  if (!cache_) return model_.make_cache(positions);
  KvCache cache = std::move(*cache_);
  cache_.reset();
  const auto [differs, end] = std::mismatch(tokens_.begin(), tokens_.end(), request.prompt.begin(),
                                            request.prompt.end() - 1);
  cache.truncate(static_cast<int>(differs - tokens_.begin()));
  if (cache.capacity() >= positions) return cache;
  // Room for the next turns too: each copy costs little beside a turn, but not beside a token.
  const int most = model_.config().max_positions;
  return cache.grown(std::max(positions, std::min(most, 2 * positions)));
}

void KeptCache::end(const Request& request, const Completion& completion, KvCache cache) {
  tokens_ = request.prompt;
  tokens_.insert(tokens_.end(), completion.tokens.begin(), completion.tokens.end());
  tokens_.resize(static_cast<std::size_t>(cache.length()));  // the last one drawn was not fed
  cache_ = std::move(cache);
}

}  // namespace gracemoe
