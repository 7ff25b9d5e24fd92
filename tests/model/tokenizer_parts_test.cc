// Each component of a tokenizer.json by itself, on files made for the purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <queue>

#include "base/files.h"
#include "base/hash.h"
#include "model/tokenizer.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/byte_level.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/utf8.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// --- utf8

TEST(Utf8, FindsTheFirstBadByte) {
  EXPECT_EQ(first_invalid_utf8("a\u00e9\u20ac\U0001F600"), 10U);
  const std::vector<std::pair<std::string, std::size_t>> cases{
      {"ab\x80", 2},     // a continuation without a beginning
      {"a\xc0\x80", 1},  // overlong
      {"\xe0\x80\x80", 0},
      {"\xf0\x8f\xbf\xbf", 0},
      {"\xed\xa0\x80", 0},      // a surrogate
      {"\xf4\x90\x80\x80", 0},  // above U+10FFFF
      {"x\xe2\x82", 1},         // cut off
      {"\xff", 0}};
  for (const auto& [text, offset] : cases) EXPECT_EQ(first_invalid_utf8(text), offset);
}

// What Rust's documentation and tests of from_utf8_lossy give: one mark for each maximal part.
TEST(Utf8, ReplacesLikeRust) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(replace_invalid_utf8("Hello \xF0\x90\x80World"), "Hello " + mark + "World");
  EXPECT_EQ(replace_invalid_utf8("Hello\xC2 There\xFF Goodbye"),
            "Hello" + mark + " There" + mark + " Goodbye");
  EXPECT_EQ(replace_invalid_utf8("Hello\xC0\x80 There\xE6\x83 Goodbye"),
            "Hello" + mark + mark + " There" + mark + " Goodbye");
  EXPECT_EQ(replace_invalid_utf8("\xF5"
                                 "foo\xF5\x80"
                                 "bar"),
            mark + "foo" + mark + mark + "bar");
  EXPECT_EQ(replace_invalid_utf8("\xF1"
                                 "foo\xF1\x80"
                                 "bar\xF1\x80\x80"
                                 "baz"),
            mark + "foo" + mark + "bar" + mark + "baz");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"
                                 "foo\xED\xBF\xBF"
                                 "bar"),
            mark + mark + mark + "foo" + mark + mark + mark + "bar");
}

TEST(Utf8, TailsThatMayStillBecomeACharacter) {
  EXPECT_EQ(incomplete_tail(""), 0U);
  EXPECT_EQ(incomplete_tail("a"), 0U);
  EXPECT_EQ(incomplete_tail("a\xf0\x9f\x98"), 3U);
  EXPECT_EQ(incomplete_tail("a\xe2\x82"), 2U);
  EXPECT_EQ(incomplete_tail("\xc3"), 1U);
  EXPECT_EQ(incomplete_tail("\xe0\x80"), 0U);  // overlong whatever follows
  EXPECT_EQ(incomplete_tail("\xf0\x9f\x98\x80"), 0U);
  EXPECT_EQ(incomplete_tail("\x9f\x98"), 0U);
}

TEST(Utf8, AppendedCharactersReadBack) {
  for (const char32_t code :
       {0U, 0x7fU, 0x80U, 0x7ffU, 0x800U, 0xd7ffU, 0xe000U, 0xffffU, 0x10000U, 0x10ffffU}) {
    std::string text;
    append_utf8(text, code);
    const Utf8Char read = utf8_at(text, 0);
    EXPECT_TRUE(read.valid);
    EXPECT_EQ(read.code, code);
    EXPECT_EQ(read.size, text.size());
  }
}

TEST(ByteLevel, EveryByteHasItsOwnCharacter) {
  std::string spelling;
  for (const char32_t code : byte_alphabet()) append_utf8(spelling, code);
  const auto bytes = bytes_of_spelling(spelling);
  ASSERT_TRUE(bytes.has_value());
  ASSERT_EQ(bytes->size(), 256U);
  for (std::size_t i = 0; i < 256; ++i) EXPECT_EQ(static_cast<unsigned char>((*bytes)[i]), i);
  EXPECT_EQ(bytes_of_spelling("\u0120the"), " the");
  EXPECT_EQ(bytes_of_spelling("\uff5c"), std::nullopt);
}

// --- regex

TEST(Regex, MatchesUnicodeClassesAndEmptyMatches) {
  EXPECT_THAT(Regex(R"(\p{L}+)", "x").find_all("ab 1\u00e9"), ElementsAre(Pair(0, 2), Pair(4, 6)));
  EXPECT_THAT(Regex(R"(\s)", "x").find_all("a\u00a0b\u3000c\u180e"),
              ElementsAre(Pair(1, 3), Pair(4, 7)));
  // As the onig crate iterates: no empty match directly behind a match.
  EXPECT_THAT(Regex("b*", "x").find_all("abb\u00e9"),
              ElementsAre(Pair(0, 0), Pair(1, 3), Pair(5, 5)));
  EXPECT_THAT(Regex("x", "x").find_all(""), ElementsAre());
}

TEST(Regex, Errors) {
  EXPECT_THAT(error_of([] { Regex("(", "t.json: pattern"); }),
              AllOf(HasSubstr("t.json: pattern: got '('"), HasSubstr("a regular expression")));
  EXPECT_THAT(error_of([] { Regex("[[:punct:]]+", "x"); }), HasSubstr("the class [:punct:]"));
  // Messages with a part of the pattern in them.
  EXPECT_THAT(error_of([] { Regex(R"(a\p{Nonsense})", "x"); }), HasSubstr("{Nonsense}"));
  EXPECT_THAT(error_of([] { Regex(R"((?<a>x)\k<other>)", "x"); }), HasSubstr("<other>"));
  // Exponential: stopped after a bounded number of steps.
  const Regex bad("(x+x+)+y", "t.json: pattern");
  EXPECT_THAT(error_of([&] { bad.find_all(std::string(40, 'x')); }),
              HasSubstr("t.json: pattern: the pattern does not get through"));
}

// --- normalizer

std::string normalize(const std::string& json, const std::string& text) {
  return Normalizer(parse_json(json, "n"), "n").apply(text);
}

TEST(Normalizer, Forms) {
  EXPECT_EQ(normalize("null", "e\u0301"), "e\u0301");
  EXPECT_EQ(normalize(R"({"type": "NFC"})", "e\u0301 \ufb01"), "\u00e9 \ufb01");
  EXPECT_EQ(normalize(R"({"type": "NFD"})", "\u00e9"), "e\u0301");
  EXPECT_EQ(normalize(R"({"type": "NFKC"})", "e\u0301 \ufb01"), "\u00e9 fi");
  EXPECT_EQ(normalize(R"({"type": "NFKD"})", "\u00e9 \ufb01"), "e\u0301 fi");
  EXPECT_EQ(normalize(R"({"type": "Lowercase"})", "A\u00c9\u03a3 \u0130"), "a\u00e9\u03c3 i\u0307");
  EXPECT_EQ(normalize(R"({"type": "Sequence", "normalizers":
                      [{"type": "NFKC"}, {"type": "Lowercase"}]})",
                      "\uff21"),
            "a");
  EXPECT_EQ(normalize(R"({"type": "Sequence", "normalizers": []})", "A"), "A");
  EXPECT_THAT(error_of([] {
                normalize(R"({"type": "Sequence", "normalizers":
                                      [{"type": "Nmt"}]})",
                          "");
              }),
              AllOf(HasSubstr("normalizers[0]"), HasSubstr("'Nmt'"), HasSubstr("NFKC")));
}

// scripts/fuzz-tokenizers holds these to the original library, in sequences of them.
TEST(Normalizer, PrependReplaceStrip) {
  const std::string prepend = R"({"type": "Prepend", "prepend": "\u2581"})";
  EXPECT_EQ(normalize(prepend, "a b"), "\u2581a b");
  EXPECT_EQ(normalize(prepend, ""), "");
  const std::string literal =
      R"({"type": "Replace", "pattern": {"String": "l."}, "content": "$1"})";
  EXPECT_EQ(normalize(literal, "l.lal.l."), "$1la$1$1");
  const std::string regex = R"({"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": "_"})";
  EXPECT_EQ(normalize(regex, " a \n b"), "_a_b");
  EXPECT_EQ(normalize(R"({"type": "Strip", "strip_left": true, "strip_right": true})",
                      "\u3000\u00a0 a b\u200b \n"),
            "a b\u200b");
  EXPECT_EQ(normalize(R"({"type": "Strip", "strip_left": false, "strip_right": true})", " a "),
            " a");
  EXPECT_EQ(normalize(R"({"type": "Strip", "strip_left": true, "strip_right": false})", " \t"), "");
  EXPECT_THAT(error_of([] {
                normalize(R"({"type": "Replace", "pattern": {"String": ""}, "content": "x"})", "");
              }),
              HasSubstr("pattern.String: got an empty string"));
}

// --- pre-tokenizer

constexpr const char* kBytes =
    R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})";

std::vector<std::string> pieces(const std::string& json, const std::string& text) {
  const PreTokenizer pre_tokenizer(parse_json(json, "p"), "p");
  std::deque<std::string> store;
  const auto views = pre_tokenizer.split(text, store);
  return {views.begin(), views.end()};
}

// Pieces after one stage and a ByteLevel that does not cut.
std::vector<std::string> stage(const std::string& json, const std::string& text) {
  return pieces(R"({"type": "Sequence", "pretokenizers": [)" + json + "," + kBytes + "]}", text);
}

std::vector<std::string> split(const std::string& behavior, const std::string& text,
                               bool invert = false) {
  return stage(R"({"type": "Split", "pattern": {"Regex": "-"}, "behavior": ")" + behavior +
                   R"(", "invert": )" + (invert ? "true" : "false") + "}",
               text);
}

// The table of Hugging Face's documentation of split behaviours, and its mirror.
TEST(PreTokenizer, SplitBehaviors) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(split("Removed", text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(split("Isolated", text), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(split("MergedWithPrevious", text), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(split("MergedWithNext", text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(split("Contiguous", text), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(split("Removed", text, true), ElementsAre("-", "-", "-"));
  EXPECT_THAT(split("MergedWithPrevious", "-a-", true), ElementsAre("-a", "-"));
}

TEST(PreTokenizer, SplitAtAString) {
  const std::string json =
      R"({"type": "Split", "pattern": {"String": "a."}, "behavior": "Isolated"})";
  EXPECT_THAT(stage(json, "ab a.a. xa."), ElementsAre("ab ", "a.", "a.", " x", "a."));
  EXPECT_THAT(stage(json, "none"), ElementsAre("none"));
}

TEST(PreTokenizer, Digits) {
  const std::string text = "ab12\u00bdc3";  // one half is numeric
  EXPECT_THAT(stage(R"({"type": "Digits", "individual_digits": true})", text),
              ElementsAre("ab", "1", "2", "\u00bd", "c", "3"));
  EXPECT_THAT(stage(R"({"type": "Digits"})", text), ElementsAre("ab", "12\u00bd", "c", "3"));
}

TEST(PreTokenizer, ByteLevelWordsAndPrefix) {
  EXPECT_THAT(pieces(R"({"type": "ByteLevel", "add_prefix_space": false})", "I'm 12  ok!"),
              ElementsAre("I", "'m", " 12", " ", " ok", "!"));
  EXPECT_THAT(pieces(R"({"type": "ByteLevel"})", "ok"), ElementsAre(" ok"));
  EXPECT_THAT(pieces(R"({"type": "ByteLevel"})", " ok"), ElementsAre(" ok"));
  EXPECT_THAT(pieces(kBytes, "a b"), ElementsAre("a b"));
}

TEST(PreTokenizer, Refuses) {
  const auto error = [](const std::string& json) { return error_of([&] { pieces(json, "a"); }); };
  EXPECT_THAT(error(R"({"type": "Metaspace"})"),
              AllOf(HasSubstr("p: type: got 'Metaspace'"), HasSubstr("Digits")));
  EXPECT_THAT(error("null"), HasSubstr("got no ByteLevel"));
  EXPECT_THAT(error(R"({"type": "Digits"})"), HasSubstr("got no ByteLevel"));
  EXPECT_THAT(error(R"({"type": "Sequence", "pretokenizers": [)" + std::string(kBytes) +
                    R"(, {"type": "Digits"}]})"),
              HasSubstr("got ByteLevel before the end"));
  EXPECT_THAT(error_of([] { split("Sideways", "a"); }),
              AllOf(HasSubstr("behavior: got 'Sideways'"), HasSubstr("MergedWithNext")));
  EXPECT_THAT(error_of([] {
                stage(R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated"})",
                      "a");
              }),
              HasSubstr("an empty string"));
  EXPECT_THAT(error_of([] {
                stage(R"({"type": "Split", "pattern": {"Regex": "["}, "behavior": "Isolated"})",
                      "a");
              }),
              HasSubstr("pretokenizers[0]: pattern.Regex: got '['"));
}

// --- added tokens

std::vector<std::pair<int, std::string>> parts(std::vector<AddedToken> tokens,
                                               const std::string& text) {
  std::vector<std::pair<int, std::string>> result;
  for (const auto& part : AddedTokenFinder(tokens, false, nullptr).split(text)) {
    result.emplace_back(part.id, part.text);
  }
  return result;
}

TEST(AddedTokens, LeftmostLongest) {
  const std::vector<AddedToken> tokens{
      {.id = 1, .content = "<a>"}, {.id = 2, .content = "<a><b>"}, {.id = 3, .content = "b"}};
  EXPECT_THAT(parts(tokens, "x<a><b><a>bb<a"),
              ElementsAre(Pair(-1, "x"), Pair(2, "<a><b>"), Pair(1, "<a>"), Pair(3, "b"),
                          Pair(3, "b"), Pair(-1, "<a")));
  EXPECT_THAT(parts(tokens, ""), ElementsAre());
  EXPECT_THAT(parts({}, "abc"), ElementsAre(Pair(-1, "abc")));
}

TEST(AddedTokens, StrippingTakesWhiteSpaceAlong) {
  const AddedToken left{.id = 1, .content = "L", .left_strip = true};
  const AddedToken right{.id = 2, .content = "R", .right_strip = true};
  EXPECT_THAT(parts({left, right}, "a \u00a0L R\n\tb"),
              ElementsAre(Pair(-1, "a"), Pair(1, " \u00a0L"), Pair(-1, " "), Pair(2, "R\n\t"),
                          Pair(-1, "b")));
  // What one token took, the next cannot take again, be it a token itself.
  EXPECT_THAT(parts({right, {.id = 3, .content = "\n"}}, "R\n\n\n."),
              ElementsAre(Pair(2, "R\n\n\n"), Pair(-1, ".")));
  EXPECT_THAT(parts({left, right}, "R  L"), ElementsAre(Pair(2, "R  "), Pair(1, "L")));
}

TEST(AddedTokens, SingleWords) {
  const AddedToken word{.id = 1, .content = "ing", .single_word = true};
  EXPECT_THAT(parts({word}, "ing going ing. \u00e9ing ing_"),
              ElementsAre(Pair(1, "ing"), Pair(-1, " going "), Pair(1, "ing"),
                          Pair(-1, ". \u00e9ing ing_")));
  // Letters that Unicode 16 has added, and a hieroglyph; of the same age, but no word: a symbol.
  EXPECT_THAT(parts({word}, "ing\U000105C5 \U00013CF1ing ing\U0001CC00"),
              ElementsAre(Pair(-1, "ing\U000105C5 \U00013CF1ing "), Pair(1, "ing"),
                          Pair(-1, "\U0001CC00")));
}

TEST(AddedTokens, FileErrors) {
  const auto error = [](const std::string& json) {
    return error_of([&] { read_added_tokens(parse_json(json, "a"), "a"); });
  };
  EXPECT_THAT(error(R"([{"id": 1, "content": "x"}, {"id": 1, "content": "y"}])"),
              HasSubstr("a[1]: got id 1 again"));
  EXPECT_THAT(error(R"([{"id": 1, "content": "x"}, {"id": 2, "content": "x"}])"),
              HasSubstr("a[1]: got 'x' again"));
  EXPECT_THAT(error(R"([{"id": 999999999, "content": "x"}])"),
              HasSubstr("a[0]: id: got 999999999"));
  EXPECT_THAT(error(R"([{"id": 1}])"), HasSubstr("a[0]: content: got nothing"));
  EXPECT_THAT(error(R"([7])"), HasSubstr("a[0]: got 7"));
  EXPECT_THAT(error(R"([{"id": 1, "content": ")" + std::string(2000, 'x') + "\"}]"),
              HasSubstr("2000 bytes"));
}

}  // namespace
}  // namespace gracemoe
