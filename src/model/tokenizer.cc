#include "model/tokenizer.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/post_processor.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/utf8.h"
#include "model/tokenizer_config.h"

namespace gracemoe {
namespace {

// Positions in a text are ints inside the model and in ICU, and NFKC can make a text 11 times as
// long.
constexpr std::size_t kMaxText = 128U << 20U;

const Json& optional(const JsonObject& json, const std::string& key) {
  static const Json kNull;
  return json.has(key) ? json.raw(key) : kNull;
}

void check_decoder(const Json& json, const std::string& name) {
  if (json.is_null()) {
    fail_input({.what = name,
                .got = "none, which joins tokens with blanks",
                .wanted = "one ByteLevel",
                .action = "this tokenizer's texts would not come back as they were"});
  }
  const JsonObject object(json, name);
  const std::string type = object.text("type");
  if (type == "ByteLevel") return;
  if (type == "Sequence" && object.array("decoders").size() == 1) {
    check_decoder(object.array("decoders")[0], object.key_name("decoders") + "[0]");
    return;
  }
  fail_input({.what = object.key_name("type"),
              .got = "'" + type + "'",
              .wanted = "one ByteLevel",
              .action = "this tokenizer needs a decoder that gracemoe does not have"});
}

void check_text(std::string_view text) {
  if (text.size() >= kMaxText) {
    fail_input({.what = "text to encode",
                .got = std::to_string(text.size()) + " bytes",
                .wanted = "less than 128 MiB",
                .action = "split it"});
  }
  const std::size_t bad = first_invalid_utf8(text);
  if (bad == text.size()) return;
  fail_input({.what = "text to encode: byte " + std::to_string(bad),
              .got = "a byte that is not UTF-8",
              .wanted = "UTF-8 text",
              .action = "convert the text"});
}

}  // namespace

struct Tokenizer::Impl {
  struct Entry {
    std::string bytes;
    bool special = false;
  };

  Impl(const JsonObject& json, const std::vector<AddedToken>& added)
      : normalizer(optional(json, "normalizer"), json.key_name("normalizer")),
        raw_tokens(added, false, nullptr),
        normalized_tokens(added, true, &normalizer),
        pre_tokenizer(optional(json, "pre_tokenizer"), json.key_name("pre_tokenizer")),
        bpe(json.raw("model"), json.key_name("model")) {
    for (const auto& [spelling, id] : bpe.vocab()) set_entry(id, spelling, false);
    for (const AddedToken& token : added) add(token, json.key_name("added_tokens"));
    post_processor =
        PostProcessor::read(optional(json, "post_processor"), json.key_name("post_processor"),
                            static_cast<int>(entries.size()));
    check_decoder(optional(json, "decoder"), json.key_name("decoder"));
  }

  void set_entry(int id, const std::string& spelling, bool special) {
    const auto index = static_cast<std::size_t>(id);
    if (entries.size() <= index) entries.resize(index + 1);
    // A spelling outside the byte alphabet is text itself: only added tokens have such.
    entries[index] = {.bytes = bytes_of_spelling(spelling).value_or(spelling), .special = special};
  }

  void add(const AddedToken& token, const std::string& name) {
    const auto index = static_cast<std::size_t>(token.id);
    const auto known = bpe.vocab().find(token.content);
    const bool in_vocab = known != bpe.vocab().end();
    const bool id_taken = !in_vocab && index < entries.size() && !entries[index].bytes.empty();
    if (id_taken || (in_vocab && known->second != token.id)) {
      fail_input({.what = name + ": '" + token.content + "'",
                  .got = "id " + std::to_string(token.id),
                  .wanted = id_taken ? "an id that no other token has"
                                     : "id " + std::to_string(known->second) + ", as in vocab",
                  .action = "check that the file is as published"});
    }
    added_ids.emplace(token.content, token.id);
    // A normalised token's text is what is sought: the normalised content.
    set_entry(token.id, token.normalized ? normalizer.apply(token.content) : token.content,
              token.special);
  }

  std::optional<int> token_id(const std::string& spelling) const {
    const auto added = added_ids.find(spelling);
    if (added != added_ids.end()) return added->second;
    const auto known = bpe.vocab().find(spelling);
    if (known != bpe.vocab().end()) return known->second;
    return std::nullopt;
  }

  // The token under `key` where `flag` is set; without a value they are as given here.
  std::optional<int> flagged_token(const JsonObject& config, const std::string& flag,
                                   const std::string& key, bool set_by_default = false,
                                   const char* spelling_by_default = nullptr) const {
    if (!config.boolean_or(flag, set_by_default)) return std::nullopt;
    std::optional<std::string> spelling = special_token(config, key);
    if (!spelling && spelling_by_default != nullptr) spelling = spelling_by_default;
    if (!spelling) {
      fail_input({.what = config.key_name(flag),
                  .got = "true without a " + key,
                  .wanted = "both",
                  .action = "name the token, or set the flag to false"});
    }
    const std::optional<int> id = token_id(*spelling);
    if (!id) {
      fail_input({.what = config.key_name(key),
                  .got = "'" + *spelling + "'",
                  .wanted = "a token that tokenizer.json has",
                  .action = "take tokenizer.json and tokenizer_config.json from one place"});
    }
    return id;
  }

  // The class of Llama's tokenizers puts a template of its own in tokenizer.json's place: BOS
  // unless the flag says no, EOS only where it says so.
  void use_llama_template(const JsonObject& config) {
    post_processor = {};
    const auto bos = flagged_token(config, "add_bos_token", "bos_token", true, "<s>");
    if (bos) post_processor.before.push_back(*bos);
    const auto eos = flagged_token(config, "add_eos_token", "eos_token", false, "</s>");
    if (eos) post_processor.after.push_back(*eos);
  }

  void add_flagged_tokens(const JsonObject& config) {
    const std::string kind =
        config.has("tokenizer_class") ? config.text("tokenizer_class") : std::string();
    if (kind == "LlamaTokenizer" || kind == "LlamaTokenizerFast") return use_llama_template(config);
    std::vector<int>& before = post_processor.before;
    const std::optional<int> bos = flagged_token(config, "add_bos_token", "bos_token");
    if (bos && std::find(before.begin(), before.end(), *bos) == before.end())
      before.insert(before.begin(), *bos);
    std::vector<int>& after = post_processor.after;
    const std::optional<int> eos = flagged_token(config, "add_eos_token", "eos_token");
    if (eos && std::find(after.begin(), after.end(), *eos) == after.end()) after.push_back(*eos);
  }

  const Entry& entry(int id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= entries.size()) {
      fail_input({.what = "token id",
                  .got = std::to_string(id),
                  .wanted = "0 to " + std::to_string(entries.size() - 1),
                  .action = "check that these ids come from this tokenizer"});
    }
    return entries[static_cast<std::size_t>(id)];
  }

  // Text without raw added tokens: normalised, then cut at the others, then into pieces.
  void encode_text(std::string_view text, std::vector<int>& out) const {
    const std::string normal = normalizer.apply(text);
    for (const auto& part : normalized_tokens.split(normal)) {
      if (part.id >= 0) {
        out.push_back(part.id);
        continue;
      }
      std::deque<std::string> store;
      for (const std::string_view piece : pre_tokenizer.split(part.text, store)) {
        bpe.encode(piece, out);
      }
    }
  }

  Normalizer normalizer;
  AddedTokenFinder raw_tokens;
  AddedTokenFinder normalized_tokens;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  std::unordered_map<std::string, int> added_ids;
  std::vector<Entry> entries;  // by id; without bytes where no token has the id
  PostProcessor post_processor;
};

Tokenizer::Tokenizer(const std::filesystem::path& tokenizer_json) {
  const Json json = read_json(tokenizer_json);
  const JsonObject object(json, tokenizer_json.string());
  std::vector<AddedToken> added;
  if (object.has("added_tokens")) {
    added = read_added_tokens(object.array("added_tokens"), object.key_name("added_tokens"));
  }
  impl_ = std::make_unique<Impl>(object, added);
}

Tokenizer Tokenizer::of_folder(const std::filesystem::path& folder) {
  Tokenizer tokenizer(folder / "tokenizer.json");
  const Json json = read_tokenizer_config(folder);
  tokenizer.impl_->add_flagged_tokens(JsonObject(json, tokenizer_config_file(folder).string()));
  return tokenizer;
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<int> Tokenizer::encode(std::string_view text, bool add_special) const {
  check_text(text);
  std::vector<int> ids;
  if (add_special) ids = impl_->post_processor.before;
  for (const auto& part : impl_->raw_tokens.split(text)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
    } else {
      impl_->encode_text(part.text, ids);
    }
  }
  const std::vector<int>& after = impl_->post_processor.after;
  if (add_special) ids.insert(ids.end(), after.begin(), after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int> ids, bool skip_special) const {
  std::string bytes;
  for (const int id : ids) {
    const Impl::Entry& entry = impl_->entry(id);
    if (!(skip_special && entry.special)) bytes += entry.bytes;
  }
  return replace_invalid_utf8(bytes);
}

int Tokenizer::vocab_size() const {
  return static_cast<int>(impl_->entries.size());
}

std::string_view Tokenizer::token_bytes(int id) const {
  return impl_->entry(id).bytes;
}

bool Tokenizer::is_special(int id) const {
  return impl_->entry(id).special;
}

std::optional<int> Tokenizer::token_id(const std::string& spelling) const {
  return impl_->token_id(spelling);
}

}  // namespace gracemoe
