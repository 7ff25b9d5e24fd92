// Byte-level BPE tokenizers from tokenizer.json. Thread-safe after construction (const).
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gracemoe {

class Tokenizer {
 public:
  // Errors (kInput): missing or malformed file; a component we do not have (by name and type):
  // strict, never silently wrong.
  explicit Tokenizer(const std::filesystem::path& tokenizer_json);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // UTF-8 text -> ids. Invalid UTF-8 is an Error (kInput) naming the byte offset. add_special: what
  // the post-processor adds (a BOS, say).
  std::vector<int> encode(std::string_view text, bool add_special) const;
  // ids -> text; incomplete UTF-8 becomes U+FFFD. Error (kInput) on an id out of range. Ids without
  // a token give nothing.
  std::string decode(std::span<const int> ids, bool skip_special) const;
  int vocab_size() const;  // highest id + 1, added tokens included

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gracemoe
