#include "interop/recorder_sequences.h"

namespace gracemoe {

// Of those that wait for this position, the latest fed: a request under way is in nearly every
// batch, an ended one waits for ever. Batches keep their order, so the first of equals.
std::int32_t SequenceBuilder::take(int rank, std::int64_t position) {
  const auto found = waiting_.find({rank, position});
  if (position == 0 || found == waiting_.end()) return count_++;
  auto& [pass, sequences] = found->second.back();
  const std::int32_t sequence = sequences.front();
  sequences.pop_front();
  if (sequences.empty()) found->second.pop_back();
  if (found->second.empty()) waiting_.erase(found);
  return sequence;
}

std::vector<std::int32_t> SequenceBuilder::add(const PassParts& pass) {
  std::vector<std::int32_t> sequences;
  std::vector<std::pair<std::int64_t, std::int32_t>> ended;  // next position, sequence
  std::size_t token = 0;
  for (const std::int64_t size : pass.part_sizes) {
    const auto tokens = static_cast<std::size_t>(size);
    const bool known = !pass.positions.empty() && tokens > 0;
    sequences.push_back(known ? take(pass.rank, pass.positions[token]) : count_++);
    token += tokens;
    // A position near the end of 64 bits has no next one.
    if (known && pass.positions[token - 1] < (std::int64_t{1} << 40))
      ended.emplace_back(pass.positions[token - 1] + 1, sequences.back());
  }
  ++pass_;
  // Only now: a part must not continue another part of the same pass.
  for (const auto& [next, sequence] : ended) {
    Waiting& waiting = waiting_[{pass.rank, next}];
    if (waiting.empty() || waiting.back().first != pass_) waiting.push_back({pass_, {}});
    waiting.back().second.push_back(sequence);
  }
  return sequences;
}

}  // namespace gracemoe
