// The "model" of tokenizer.json: byte-pair encoding over bytes.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/json.h"

namespace gracemoe {

class Bpe {
 public:
  // Ids lie below this (the largest released vocabularies have 2^18): bounds the tables made from a
  // file.
  static constexpr std::int64_t kMaxTokens = 1 << 22;

  // Errors (kInput): not BPE, a setting that byte-level BPE does not have (byte_fallback, dropout,
  // ...), an id twice or out of range, a merge of or into an unknown token.
  Bpe(const Json& json, const std::string& name);

  // Appends the ids of one piece of text (bytes). n bytes cost O(n log n). Error (kInput): a byte
  // that the vocabulary does not spell.
  void encode(std::string_view piece, std::vector<int>& ids) const;
  // Token spellings and their ids.
  const std::unordered_map<std::string, int>& vocab() const { return vocab_; }

 private:
  struct Merge {
    int rank;
    int id;  // of the merged token
  };
  struct PairHash {
    std::size_t operator()(std::uint64_t pair) const { return mix64(pair); }
  };
  // One token of the piece being encoded, in a doubly linked list; id < 0 once it is merged away.
  struct Symbol {
    int id;
    int previous;
    int next;
  };
  // A merge that is possible: the lowest rank goes first, then the leftmost.
  struct Candidate {
    Merge merge;
    int left;  // index of the left symbol
    bool operator<(const Candidate& other) const {
      return std::pair(merge.rank, left) > std::pair(other.merge.rank, other.left);
    }
  };
  static std::uint64_t key(int left, int right) {
    return (static_cast<std::uint64_t>(left) << 32U) | static_cast<std::uint64_t>(right);
  }
  void read_settings(const JsonObject& json);
  void read_vocab(const JsonObject& json);
  void read_merges(const JsonObject& json);
  void add_merge(const std::string& left, const std::string& right, int rank,
                 const std::string& name);
  int known_token(const std::string& spelling, const std::string& name) const;
  const Merge* find_merge(const std::vector<Symbol>& symbols, int left) const;
  std::vector<Symbol> symbols_of(std::string_view piece) const;
  void merge_all(std::vector<Symbol>& symbols) const;

  std::string name_;
  std::unordered_map<std::string, int> vocab_;
  std::unordered_map<std::uint64_t, Merge, PairHash> merges_;
  std::array<int, 256> byte_ids_{};             // -1: not spelled
  bool ignore_merges_ = false;                  // a piece that is a token is that token
  std::unordered_map<std::string, int> whole_;  // bytes -> id, for ignore_merges_
};

}  // namespace gracemoe
