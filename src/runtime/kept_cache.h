// Keeps a conversation's cache from one request to the next, so that only what is new of it is
// computed. Results are the same to the bit, because a row's never depends on its batch.
#pragma once
#include <optional>
#include <vector>

#include "engine/transformer.h"
#include "runtime/request.h"

namespace gracemoe {

// One request at a time: begin() and end() are RunOptions' begin_cache and end_cache.
class KeptCache {
 public:
  explicit KeptCache(const Transformer& model) : model_(model) {}
  // The kept cache, cut to the tokens that the prompt begins with too (but for its last, whose
  // logits are wanted), and larger where it must be.
  KvCache begin(const Request& request, int positions);
  void end(const Request& request, const Completion& completion, KvCache cache);

 private:
  const Transformer& model_;
  std::optional<KvCache> cache_;
  std::vector<int> tokens_;  // in cache_
};

}  // namespace gracemoe
