// Byte-level BPE tokenizers from tokenizer.json. Thread-safe after construction (const).
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gracemoe {

class Tokenizer {
 public:
  // Understands: normalizer NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip; pre-tokenizer
  // Split, Digits and, last, ByteLevel; model BPE; post-processor ByteLevel, TemplateProcessing;
  // decoder ByteLevel; Sequences of these; added tokens with all their flags. The settings
  // "truncation" and "padding" are for batches and not read: every text keeps its length. Errors
  // (kInput): missing or malformed file; a component we do not have (by name and type): strict,
  // never silently wrong.
  explicit Tokenizer(const std::filesystem::path& tokenizer_json);
  // tokenizer.json of a model folder, with what its tokenizer_config.json adds: where add_bos_token
  // or add_eos_token is true, encode() adds that token too unless the post-processor already does.
  // Errors (kInput): as above; a flag without its token, or with one that tokenizer.json lacks.
  static Tokenizer of_folder(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // UTF-8 text -> ids, in O(n log n). Added tokens in the text are recognised. Invalid UTF-8 is an
  // Error (kInput) naming the byte offset; so is text of 128 MiB or more. add_special: with what
  // the post-processor and the flags add (a BOS, say).
  std::vector<int> encode(std::string_view text, bool add_special) const;
  // ids -> text; incomplete UTF-8 becomes U+FFFD. Error (kInput) on an id out of range. Ids without
  // a token give nothing.
  std::string decode(std::span<const int> ids, bool skip_special) const;
  int vocab_size() const;  // highest id + 1, added tokens included

  // The bytes that one token stands for, perhaps a part of a UTF-8 character; lives as long as the
  // tokenizer. Error (kInput) on an id out of range.
  std::string_view token_bytes(int id) const;
  // Whether decode() leaves this token out with skip_special. Error (kInput) on an id out of range.
  bool is_special(int id) const;
  // The id of a token as tokenizer.json spells it ("<|im_end|>").
  std::optional<int> token_id(const std::string& spelling) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gracemoe
