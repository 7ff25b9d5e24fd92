// A hash of the tensors that every rank loads, made once a machine: each of its ranks hashes a part
// of them, best while their bytes are at hand.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "model/checkpoint.h"
#include "model/model_config.h"

struct XXH3_state_s;

namespace gracemoe {

// Of one tensor, whose bytes come in order, in pieces of any sizes.
class TensorHash {
 public:
  explicit TensorHash(const std::string& name);
  void add(std::span<const std::byte> piece);
  std::uint64_t value() const;  // never 0

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

class SharedHashes {
 public:
  // Member `member` of `members` hashes every members-th of the tensors that are no expert's, in
  // the order of their names. The checkpoint outlives it.
  SharedHashes(const Checkpoint& checkpoint, int member, int members);
  bool mine(const std::string& name) const { return mine_.contains(name); }
  int members() const { return members_; }
  // Hashes a tensor, if it is this member's, because its bytes are at hand now. Different tensors
  // may be taken by several threads at once.
  void take(const std::string& name);
  // The same of one whose hash has been made piece by piece.
  void take(const std::string& name, const TensorHash& hash);
  // Whether it has been hashed. Not while others take.
  bool taken(const std::string& name) const;
  // The sum of this member's hashes, each with its tensor's name in it. Reads what has not been
  // taken.
  std::uint64_t sum();

 private:
  struct Entry {
    std::span<const std::byte> bytes;
    std::uint64_t hash = 0;  // 0: not yet
  };
  bool mapped_;
  int members_;
  std::map<std::string, Entry> mine_;
};

// What the ranks of a run compare: 16 hexadecimal digits over all of `config` that changes a
// result, names and shapes of all tensors, and the bytes of those that every rank loads (each reads
// only its own experts), as the sum of all members' sums.
std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config,
                          std::uint64_t sum);
// The same of one that hashes all of them itself.
std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config);

}  // namespace gracemoe
