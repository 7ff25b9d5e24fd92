// Puts the tokens of forward passes together into sequences again: a recorder's records say where a
// pass's parts begin and at which positions, not which request they belong to.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace gracemoe {

// One pass on one rank. `part_sizes` sum to the tokens; `positions` has one a token, or is empty:
// unknown, then every part is a sequence of its own.
struct PassParts {
  int rank = 0;
  std::span<const std::int64_t> part_sizes;
  std::span<const std::int64_t> positions;
};

class SequenceBuilder {
 public:
  // Passes come in the order they ran. -> of each part, the number of its sequence, from 0.
  std::vector<std::int32_t> add(const PassParts& pass);
  std::int32_t count() const { return count_; }

 private:
  // Sequences that wait for one position, by the pass that last fed them, in batch order.
  using Waiting = std::vector<std::pair<std::int64_t, std::deque<std::int32_t>>>;
  std::int32_t take(int rank, std::int64_t position);

  std::map<std::pair<int, std::int64_t>, Waiting> waiting_;  // by rank and next position
  std::int64_t pass_ = 0;
  std::int32_t count_ = 0;
};

}  // namespace gracemoe
