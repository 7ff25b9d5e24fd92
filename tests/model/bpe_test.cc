// Byte-pair encoding against a slow twin, and the refusals of whole tokenizer.json files.
#include "model/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/model_folder.h"
#include "model/tokenizer.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/utf8.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// All 256 bytes as ids 0 to 255, then one token a merge.
Json bpe_json(const std::vector<std::pair<std::string, std::string>>& merges) {
  Json vocab = Json::object();
  Json list = Json::array();
  for (const char32_t code : byte_alphabet()) {
    std::string spelling;
    append_utf8(spelling, code);
    vocab[spelling] = vocab.size();
  }
  for (const auto& [left, right] : merges) {
    if (!vocab.contains(left + right)) vocab[left + right] = vocab.size();
    list.push_back(left + " " + right);
  }
  return {{"type", "BPE"}, {"vocab", vocab}, {"merges", list}};
}

std::vector<int> encode(const Json& json, const std::string& text) {
  std::vector<int> ids;
  Bpe(json, "m").encode(text, ids);
  return ids;
}

// Again and again the merge of the lowest rank, the leftmost first: what byte-pair encoding is.
std::vector<std::string> slow_encode(const std::vector<std::pair<std::string, std::string>>& merges,
                                     const std::string& text) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [left, right] : merges) {
      for (std::size_t i = 0; i + 1 < parts.size() && !changed; ++i) {
        if (parts[i] != left || parts[i + 1] != right) continue;
        parts[i] += right;
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        changed = true;
      }
      if (changed) break;
    }
  }
  return parts;
}

// Random words over three letters with random merges: overlapping ones and several that make one
// token.
TEST(Bpe, EqualsTheSlowTwin) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    std::vector<std::pair<std::string, std::string>> merges;
    std::vector<std::string> tokens{"a", "b", "c"};
    for (std::uint64_t i = 0; i < 14; ++i) {
      const std::uint64_t hash = hash_combine(seed, i);
      const std::pair<std::string, std::string> merge{tokens[hash % tokens.size()],
                                                      tokens[(hash >> 20U) % tokens.size()]};
      if (std::find(merges.begin(), merges.end(), merge) != merges.end()) continue;
      merges.push_back(merge);
      tokens.push_back(merge.first + merge.second);
    }
    const Json json = bpe_json(merges);
    const Bpe bpe(json, "m");
    for (std::uint64_t word = 0; word < 20; ++word) {
      std::string text;
      for (std::uint64_t i = 0; i < 30; ++i) {
        text += static_cast<char>('a' + hash_combine(seed * 100 + word, i) % 3);
      }
      std::vector<int> wanted;
      for (const std::string& token : slow_encode(merges, text)) {
        wanted.push_back(json["vocab"][token].get<int>());
      }
      std::vector<int> ids;
      bpe.encode(text, ids);
      ASSERT_EQ(ids, wanted) << text;
    }
  }
}

TEST(Bpe, MergesAsPairs) {
  Json json = bpe_json({{"a", "b"}});
  const std::vector<int> ids = encode(json, "xab");
  json["merges"] = Json::array({Json::array({"a", "b"})});
  EXPECT_EQ(encode(json, "xab"), ids);
  EXPECT_EQ(ids.back(), 256);
}

TEST(Bpe, IgnoreMergesTakesAWholePiece) {
  Json json = bpe_json({{"a", "b"}});
  json["vocab"]["abc"] = 300;  // no merge leads here
  EXPECT_THAT(encode(json, "abc"), ElementsAre(256, 'c'));
  json["ignore_merges"] = true;
  EXPECT_THAT(encode(json, "abc"), ElementsAre(300));
  EXPECT_THAT(encode(json, "abcc"), ElementsAre(256, 'c', 'c'));
}

TEST(Bpe, AByteWithoutATokenIsAnErrorOnlyWhereItOccurs) {
  Json json = bpe_json({});
  json["vocab"].erase("z");
  EXPECT_THAT(encode(json, "y"), ElementsAre('y'));
  EXPECT_THAT(error_of([&] { encode(json, "z"); }), HasSubstr("no token for byte 122"));
}

TEST(Bpe, Refuses) {
  const auto error = [](const std::string& key, const Json& value) {
    Json json = bpe_json({{"a", "b"}});
    json[key] = value;
    return error_of([&] { Bpe(json, "t.json: model"); });
  };
  EXPECT_EQ(error("byte_fallback", false), "");
  EXPECT_THAT(
      error("byte_fallback", true),
      AllOf(HasSubstr("t.json: model: byte_fallback: got true"), HasSubstr("byte-level BPE")));
  EXPECT_THAT(error("type", "Unigram"), HasSubstr("type: got 'Unigram', wanted 'BPE'"));
  EXPECT_THAT(error("dropout", 0.1), HasSubstr("dropout: got 0.1"));
  EXPECT_EQ(error("dropout", 0.0), "");
  EXPECT_THAT(error("end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix: got \"</w>\""));
  EXPECT_THAT(error("continuing_subword_prefix", "##"), HasSubstr("got \"##\""));
  EXPECT_THAT(error("vocab", {{"a", 0}, {"b", 0}}), HasSubstr("b: got id 0, which another token"));
  EXPECT_THAT(error("vocab", {{"a", -1}}), HasSubstr("a: got -1"));
  EXPECT_THAT(error("vocab", {{"a", 1'000'000'000}}), HasSubstr("a: got 1000000000"));
  EXPECT_THAT(error("vocab", {{"a", 18'446'744'073'709'551'615U}}), HasSubstr("a: got 184467"));
  EXPECT_THAT(error("vocab", {{"a", 0.0}}), HasSubstr("a: got 0.0, wanted an integer"));
  EXPECT_THAT(error("vocab", Json::array()), HasSubstr("vocab: got a list of 0, wanted an object"));
  EXPECT_THAT(error("merges", {"a"}), HasSubstr("merges: got \"a\", wanted two tokens"));
  EXPECT_THAT(error("merges", {"a b c"}), HasSubstr("wanted two tokens"));
  EXPECT_THAT(error("merges", Json::array({Json::array({"a"})})), HasSubstr("wanted two tokens"));
  EXPECT_THAT(error("merges", {"a c"}),
              HasSubstr("merges: got 'ac', which is not in the vocabulary"));
}

// The error of reading the tiny model's tokenizer.json after a change.
std::string file_error(const std::function<void(Json&)>& change) {
  const ModelFolder model;
  model.edit_json("tokenizer.json", change);
  return error_of([&] { Tokenizer{model / "tokenizer.json"}; });
}

TEST(TokenizerFile, RefusesByName) {
  EXPECT_EQ(file_error([](Json&) {}), "");
  EXPECT_THAT(file_error([](Json& json) {
                json["normalizer"] = {{"type", "Nmt"}};
              }),
              HasSubstr("tokenizer.json: normalizer: type: got 'Nmt'"));
  EXPECT_THAT(file_error([](Json& json) {
                json["pre_tokenizer"] = {{"type", "Whitespace"}};
              }),
              HasSubstr("tokenizer.json: pre_tokenizer: type: got 'Whitespace'"));
  EXPECT_THAT(file_error([](Json& json) {
                json["decoder"] = {{"type", "WordPiece"}};
              }),
              HasSubstr("tokenizer.json: decoder: type: got 'WordPiece'"));
  EXPECT_THAT(file_error([](Json& json) {
                json["post_processor"] = {{"type", "Bert"}};
              }),
              HasSubstr("tokenizer.json: post_processor: type: got 'Bert'"));
  EXPECT_THAT(file_error([](Json& json) { json.erase("model"); }), HasSubstr("model: got nothing"));
  EXPECT_THAT(file_error([](Json& json) { json["added_tokens"][0]["id"] = 3; }),
              AllOf(HasSubstr("added_tokens: '<|endoftext|>'"), HasSubstr("no other token has")));
  EXPECT_THAT(file_error([](Json& json) { json["added_tokens"][0]["content"] = "a"; }),
              HasSubstr("added_tokens: 'a': got id 314, wanted id 64, as in vocab"));
}

TEST(TokenizerFile, MissingAndMalformed) {
  const ModelFolder model;
  EXPECT_THAT(error_of([&] { Tokenizer{model / "none.json"}; }), HasSubstr("No such file"));
  write_file(model / "tokenizer.json", "{\"model\":");
  EXPECT_THAT(error_of([&] { Tokenizer{model / "tokenizer.json"}; }),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("line 1, column 10")));
}

TEST(TokenizerFile, TemplatesAndSequences) {
  const auto with = [](const Json& post_processor) {
    const ModelFolder model;
    model.edit_json("tokenizer.json", [&](Json& json) { json["post_processor"] = post_processor; });
    return Tokenizer(model / "tokenizer.json").encode("a", true);
  };
  const Json bos = {{"SpecialToken", {{"id", "B"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  Json both = {{"type", "TemplateProcessing"},
               {"single", {bos, text, bos, bos}},
               {"special_tokens", {{"B", {{"id", "B"}, {"ids", {315}}}}}}};
  EXPECT_THAT(with(both), ElementsAre(315, 64, 315, 315));
  EXPECT_THAT(with({{"type", "Sequence"}, {"processors", {{{"type", "ByteLevel"}}, both}}}),
              ElementsAre(315, 64, 315, 315));
  EXPECT_THAT(with(nullptr), ElementsAre(64));
  EXPECT_THAT(error_of([&] {
                with({{"type", "Sequence"}, {"processors", {both, both}}});
              }),
              HasSubstr("processors[1]: type: got a second 'TemplateProcessing'"));
  Json unknown = both;
  unknown["special_tokens"]["B"]["ids"] = {320};
  EXPECT_THAT(error_of([&] { with(unknown); }),
              HasSubstr("got 320, wanted an integer from 0 to 319"));
  Json twice = both;
  twice["single"] = {text, text};
  EXPECT_THAT(error_of([&] { with(twice); }), HasSubstr("sequence A once"));
}

TEST(TokenizerFile, NormalizedTokensAreSoughtInTheNormalizedText) {
  const ModelFolder model;
  model.edit_json("tokenizer.json", [](Json& json) {
    json["normalizer"] = {{"type", "Lowercase"}};
    json["added_tokens"].push_back({{"id", 320}, {"content", "NORM"}, {"normalized", true}});
    json["added_tokens"].push_back({{"id", 321}, {"content", "RAW"}, {"normalized", false}});
  });
  const Tokenizer tokenizer(model / "tokenizer.json");
  EXPECT_THAT(tokenizer.encode("NORMnormRAW", false), ElementsAre(320, 320, 321));
  const std::vector<int> ids = tokenizer.encode("raw", false);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 321), 0);
  EXPECT_EQ(tokenizer.decode(ids, false), "raw");
}

TEST(TokenizerFile, IdsWithoutATokenGiveNothing) {
  const ModelFolder model;
  model.edit_json("tokenizer.json", [](Json& json) {
    json["added_tokens"].push_back({{"id", 325}, {"content", "<x>"}, {"special", false}});
  });
  const Tokenizer tokenizer(model / "tokenizer.json");
  EXPECT_EQ(tokenizer.vocab_size(), 326);
  EXPECT_EQ(tokenizer.decode(std::vector<int>{64, 322, 325}, true), "a<x>");
}

TEST(TokenizerFile, NormalizedTokensDecodeAsTheyAreSought) {
  const ModelFolder model;
  model.edit_json("tokenizer.json", [](Json& json) {
    json["normalizer"] = {{"type", "NFD"}};
    json["added_tokens"].push_back({{"id", 320}, {"content", "\u00e9t"}, {"normalized", true}});
    json["added_tokens"].push_back({{"id", 321}, {"content", "\u212bx"}, {"normalized", false}});
  });
  const Tokenizer tokenizer(model / "tokenizer.json");
  EXPECT_THAT(tokenizer.encode("\u00e9te\u0301t\u212bx", false), ElementsAre(320, 320, 321));
  EXPECT_EQ(tokenizer.decode(std::vector<int>{320, 321}, false), "e\u0301t\u212bx");
  EXPECT_EQ(tokenizer.token_id("\u00e9t"), 320);
}

TEST(TokenizerFile, RefusesToDecodeWithoutADecoder) {
  const auto refusal = [](Json& json) { json["decoder"] = nullptr; };
  EXPECT_THAT(file_error(refusal), HasSubstr("decoder: got none, which joins tokens with blanks"));
  EXPECT_THAT(file_error([](Json& json) { json.erase("decoder"); }), HasSubstr("wanted one Byte"));
}

// The ids of "a" with special tokens, as a folder with this tokenizer_config.json has them.
std::vector<int> flagged_ids(const Json& config, const Json& post_processor = nullptr) {
  const ModelFolder model;
  model.edit_json("tokenizer.json", [&](Json& json) { json["post_processor"] = post_processor; });
  write_file(model / "tokenizer_config.json", config.dump());
  const Tokenizer tokenizer = Tokenizer::of_folder(model.path());
  EXPECT_THAT(tokenizer.encode("a", false), ElementsAre(64));
  return tokenizer.encode("a", true);
}

TEST(TokenizerFolder, FlagsAddBosAndEos) {
  const Json object = {{"content", "<|im_start|>"}, {"lstrip", false}};
  const Json byte_level = {{"type", "ByteLevel"}};
  Json config = {{"add_bos_token", true}, {"bos_token", object}, {"eos_token", "<|endoftext|>"}};
  EXPECT_THAT(flagged_ids(config, byte_level), ElementsAre(315, 64));
  config["add_eos_token"] = true;
  EXPECT_THAT(flagged_ids(config), ElementsAre(315, 64, 314));
  config["add_bos_token"] = false;
  EXPECT_THAT(flagged_ids(config), ElementsAre(64, 314));
  EXPECT_THAT(flagged_ids(Json::object()), ElementsAre(64));
}

TEST(TokenizerFolder, FlagsAddNothingTwice) {
  const ModelFolder bos(GRACEMOE_SOURCE_DIR "/tests/data/deepseek_v2_tiny");
  EXPECT_THAT(Tokenizer::of_folder(bos.path()).encode("a", true), ElementsAre(315, 64));
  bos.edit_json("tokenizer_config.json", [](Json& json) { json["add_eos_token"] = true; });
  EXPECT_THAT(Tokenizer::of_folder(bos.path()).encode("a", true), ElementsAre(315, 64, 314));
  bos.remove("tokenizer_config.json");
  EXPECT_THAT(Tokenizer::of_folder(bos.path()).encode("a", true), ElementsAre(315, 64));
}

// Its class puts a template of its own in the place of tokenizer.json's.
TEST(TokenizerFolder, LlamasClassAddsBosUnlessToldNotTo) {
  for (const char* kind : {"LlamaTokenizer", "LlamaTokenizerFast"}) {
    Json config = {
        {"tokenizer_class", kind}, {"bos_token", "<|im_start|>"}, {"eos_token", "<|endoftext|>"}};
    EXPECT_THAT(flagged_ids(config), ElementsAre(315, 64));
    const ModelFolder bos(GRACEMOE_SOURCE_DIR "/tests/data/deepseek_v2_tiny");
    config["add_bos_token"] = false;
    config["add_eos_token"] = true;
    write_file(bos / "tokenizer_config.json", config.dump());
    EXPECT_THAT(Tokenizer::of_folder(bos.path()).encode("a", true), ElementsAre(64, 314));
    EXPECT_THAT(error_of([&] {
                  flagged_ids({{"tokenizer_class", kind}});
                }),
                HasSubstr("bos_token: got '<s>', wanted a token that tokenizer.json has"));
  }
  EXPECT_THAT(
      flagged_ids({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"bos_token", "<|im_start|>"}}),
      ElementsAre(64));
}

TEST(TokenizerFolder, RefusesAFlagWithoutItsToken) {
  const auto error = [](const Json& config) { return error_of([&] { flagged_ids(config); }); };
  EXPECT_THAT(error({{"add_bos_token", true}, {"bos_token", nullptr}}),
              HasSubstr("tokenizer_config.json: add_bos_token: got true without a bos_token"));
  EXPECT_THAT(error({{"add_eos_token", true}, {"eos_token", "</s>"}}),
              HasSubstr("eos_token: got '</s>', wanted a token that tokenizer.json has"));
  EXPECT_THAT(error({{"add_bos_token", 1}}), HasSubstr("add_bos_token: got 1, wanted true or"));
}

}  // namespace
}  // namespace gracemoe
