#include "model/tokenizer/bpe.h"

#include <queue>
#include <vector>

#include "base/error.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

void refuse_setting(const JsonObject& json, const std::string& key, bool set) {
  if (!set) return;
  fail_input({.what = json.key_name(key),
              .got = show_json(json.raw(key)),
              .wanted = "it switched off",
              .action = "gracemoe reads byte-level BPE tokenizers only"});
}

// A merge is written "left right" or ["left", "right"].
std::pair<std::string, std::string> read_pair(const Json& json, const std::string& list) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  }
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    const std::size_t blank = text.find(' ');
    if (blank != text.npos && text.find(' ', blank + 1) == text.npos) {
      return {text.substr(0, blank), text.substr(blank + 1)};
    }
  }
  fail_input({.what = list,
              .got = show_json(json),
              .wanted = "two tokens in each entry, as \"a b\" or [\"a\", \"b\"]",
              .action = "check that the file is as published"});
}

}  // namespace

Bpe::Bpe(const Json& json, const std::string& name) : name_(name) {
  const JsonObject object(json, name);
  read_settings(object);
  read_vocab(object);
  read_merges(object);
  const auto alphabet = byte_alphabet();
  for (std::size_t byte = 0; byte < alphabet.size(); ++byte) {
    std::string spelling;
    append_utf8(spelling, alphabet[byte]);
    const auto found = vocab_.find(spelling);
    byte_ids_[byte] = found == vocab_.end() ? -1 : found->second;
  }
  if (!ignore_merges_) return;
  for (const auto& [spelling, id] : vocab_) {
    if (auto bytes = bytes_of_spelling(spelling)) whole_.emplace(std::move(*bytes), id);
  }
}

void Bpe::read_settings(const JsonObject& json) {
  const std::string type = json.text_or("type", "BPE");  // old files leave it out
  if (type != "BPE") {
    fail_input({.what = json.key_name("type"),
                .got = "'" + type + "'",
                .wanted = "'BPE'",
                .action = "gracemoe reads byte-level BPE tokenizers only"});
  }
  refuse_setting(json, "byte_fallback", json.boolean_or("byte_fallback", false));
  refuse_setting(json, "dropout", json.number_or("dropout", 0) != 0);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    refuse_setting(json, key, !json.text_or(key, "").empty());
  }
  ignore_merges_ = json.boolean_or("ignore_merges", false);
}

void Bpe::read_vocab(const JsonObject& json) {
  const JsonObject vocab = json.object("vocab");
  vocab_.reserve(json.raw("vocab").size());
  std::vector<bool> used;
  for (const auto& [spelling, value] : json.raw("vocab").items()) {
    const bool plain = value.is_number_unsigned() && value.get<std::uint64_t>() < kMaxTokens;
    const auto id = plain ? value.get<std::size_t>()
                          : static_cast<std::size_t>(vocab.integer(spelling, 0, kMaxTokens - 1));
    if (used.size() <= id) used.resize(id + 1);
    if (used[id]) {
      fail_input({.what = vocab.key_name(spelling),
                  .got = "id " + std::to_string(id) + ", which another token has",
                  .wanted = "an id of its own",
                  .action = "check that the file is as published"});
    }
    used[id] = true;
    vocab_.emplace(spelling, static_cast<int>(id));
  }
}

void Bpe::read_merges(const JsonObject& json) {
  const Json& merges = json.array("merges");
  const std::string name = json.key_name("merges");
  merges_.reserve(merges.size());
  int rank = 0;
  for (const Json& merge : merges) {
    const bool comment =
        merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version");
    if (comment) continue;
    const auto [left, right] = read_pair(merge, name);
    add_merge(left, right, rank++, name);
  }
}

void Bpe::add_merge(const std::string& left, const std::string& right, int rank,
                    const std::string& name) {
  const std::uint64_t pair = key(known_token(left, name), known_token(right, name));
  // A pair given twice has its later rank, as in Hugging Face's reader.
  merges_[pair] = {.rank = rank, .id = known_token(left + right, name)};
}

int Bpe::known_token(const std::string& spelling, const std::string& name) const {
  const auto found = vocab_.find(spelling);
  if (found == vocab_.end()) {
    fail_input({.what = name,
                .got = "'" + spelling + "', which is not in the vocabulary",
                .wanted = "tokens of the vocabulary",
                .action = "check that the file is as published"});
  }
  return found->second;
}

std::vector<Bpe::Symbol> Bpe::symbols_of(std::string_view piece) const {
  std::vector<Symbol> symbols;
  symbols.reserve(piece.size());
  const int size = static_cast<int>(piece.size());
  for (int i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(piece[static_cast<std::size_t>(i)]);
    if (byte_ids_[byte] < 0) {
      fail_input({.what = name_ + ": vocab",
                  .got = "no token for byte " + std::to_string(byte) + " of the text",
                  .wanted = "one for each byte",
                  .action = "leave such text out or use a tokenizer that can encode it"});
    }
    symbols.push_back(
        {.id = byte_ids_[byte], .previous = i - 1, .next = i + 1 < size ? i + 1 : -1});
  }
  return symbols;
}

const Bpe::Merge* Bpe::find_merge(const std::vector<Symbol>& symbols, int left) const {
  if (left < 0) return nullptr;
  const Symbol& symbol = symbols[static_cast<std::size_t>(left)];
  if (symbol.id < 0 || symbol.next < 0) return nullptr;
  const auto found =
      merges_.find(key(symbol.id, symbols[static_cast<std::size_t>(symbol.next)].id));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::merge_all(std::vector<Symbol>& symbols) const {
  std::vector<Candidate> possible;
  possible.reserve(symbols.size());
  for (int i = 0; i < static_cast<int>(symbols.size()); ++i) {
    if (const Merge* merge = find_merge(symbols, i)) possible.push_back({*merge, i});
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(possible));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    // Stale where one of its symbols has been merged away or has grown since.
    const Merge* now = find_merge(symbols, best.left);
    if (now == nullptr || now->id != best.merge.id) continue;
    Symbol& left = symbols[static_cast<std::size_t>(best.left)];
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    left.id = best.merge.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.left;
    for (const int start : {left.previous, best.left}) {
      if (const Merge* merge = find_merge(symbols, start)) queue.push({*merge, start});
    }
  }
}

void Bpe::encode(std::string_view piece, std::vector<int>& ids) const {
  if (piece.empty()) return;
  if (ignore_merges_) {
    const auto found = whole_.find(std::string(piece));
    if (found != whole_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  std::vector<Symbol> symbols = symbols_of(piece);
  merge_all(symbols);
  for (int i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    ids.push_back(symbols[static_cast<std::size_t>(i)].id);
  }
}

}  // namespace gracemoe
