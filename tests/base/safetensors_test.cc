#include "base/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "base/files.h"
#include "base/json.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string file_of(const std::string& header, const std::string& data) {
  std::string text(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return text + header + data;
}

// The error of opening a file of these bytes.
std::string open_error(const std::string& bytes) {
  const TempDir dir;
  write_file(dir / "x.safetensors", bytes);
  return error_of([&] { const SafetensorsFile file(dir / "x.safetensors"); });
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{" + entry("w", dtype, shape, offsets) + "}";
}

TEST(Safetensors, WritesWhatItReads) {
  const TempDir dir;
  std::vector<float> f(6);
  std::iota(f.begin(), f.end(), 1.0F);
  std::vector<std::uint8_t> u{1, 2, 3};
  std::vector<std::int64_t> big{-5};
  const std::map<std::string, TensorView> tensors{
      {"a", {DType::kU8, {3}, std::as_bytes(std::span(u))}},
      {"b", {DType::kF32, {2, 3}, std::as_bytes(std::span(f))}},
      {"c", {DType::kI64, {}, std::as_bytes(std::span(big))}},
      {"d", {DType::kF32, {0, 7}, {}}}};
  write_safetensors(dir / "x", tensors, {{"format", "test"}});
  const SafetensorsFile file(dir / "x");
  EXPECT_EQ(file.tensors().size(), 4U);
  EXPECT_EQ(file.meta("format"), "test");
  // The odd-sized tensor comes last, so every view can be read as its type.
  EXPECT_THAT(file.tensor("a").as<std::uint8_t>(), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(file.tensor("b", DType::kF32, {-1, 3}).as<float>(), testing::ElementsAreArray(f));
  EXPECT_EQ(file.tensor("c").as<std::int64_t>()[0], -5);
  EXPECT_EQ(file.tensor("c").elements(), 1);
  EXPECT_EQ(file.tensor("d").elements(), 0);
  EXPECT_THROW(file.tensor("b").as<double>(), Error);
}

TEST(Safetensors, NoGapsAndWholeHeaderWords) {
  const TempDir dir;
  std::vector<std::uint8_t> u(5);
  std::vector<float> f(2);
  write_safetensors(dir / "x",
                    {{"a", {DType::kU8, {5}, std::as_bytes(std::span(u))}},
                     {"b", {DType::kF32, {2}, std::as_bytes(std::span(f))}}},
                    {});
  const std::string bytes = read_file(dir / "x");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  EXPECT_EQ(bytes.size(), 8 + length + 13);
}

TEST(Safetensors, LookupErrors) {
  const TempDir dir;
  std::vector<float> f(6);
  write_safetensors(dir / "x", {{"b", {DType::kF32, {2, 3}, std::as_bytes(std::span(f))}}}, {});
  const SafetensorsFile file(dir / "x");
  EXPECT_THAT(error_of([&] { file.tensor("none"); }),
              AllOf(HasSubstr("'none'"), HasSubstr("no such tensor")));
  EXPECT_THAT(error_of([&] {
                file.tensor("b", DType::kBF16, {2, 3});
              }),
              HasSubstr("tensor 'b': got F32 [2, 3], wanted BF16 [2, 3]"));
  EXPECT_THAT(error_of([&] {
                file.tensor("b", DType::kF32, {3, -1});
              }),
              HasSubstr("got F32 [2, 3], wanted F32 [3, any]"));
  EXPECT_THAT(error_of([&] { file.tensor("b", DType::kF32, {6}); }), HasSubstr("wanted F32 [6]"));
  EXPECT_THAT(error_of([&] { file.meta("format"); }), HasSubstr("metadata 'format'"));
}

TEST(Safetensors, TruncatedSaysHowManyBytesAreMissing) {
  const std::string whole = file_of(one("F32", "[4]", "[0,16]"), std::string(16, 'x'));
  EXPECT_EQ(open_error(whole), "");
  EXPECT_THAT(open_error(whole.substr(0, whole.size() - 5)),
              AllOf(HasSubstr("x.safetensors: truncated"), HasSubstr("5 bytes are missing")));
  EXPECT_THAT(open_error(whole.substr(0, 20)),
              AllOf(HasSubstr("truncated in its header"), HasSubstr("bytes are missing")));
  EXPECT_THAT(open_error(whole.substr(0, 3)), HasSubstr("at least 8 bytes"));
  EXPECT_THAT(open_error(""), HasSubstr("got 0 bytes"));
}

TEST(Safetensors, EveryPrefixIsRefused) {
  const std::string whole = file_of(one("F32", "[2,2]", "[0,16]"), std::string(16, 'x'));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_NE(open_error(whole.substr(0, size)), "") << size;
  }
}

TEST(Safetensors, HeaderLengthBeyondReason) {
  EXPECT_THAT(open_error(std::string(8, '\xff')), HasSubstr("header length"));
  EXPECT_THAT(open_error(file_of("not JSON", "")),
              AllOf(HasSubstr("header: not valid JSON"), HasSubstr("line 1, column 2")));
  EXPECT_THAT(open_error(file_of("[]", "")), HasSubstr("a JSON object"));
  EXPECT_THAT(open_error(file_of("", "")), HasSubstr("not valid JSON"));
}

TEST(Safetensors, DamagedEntries) {
  const std::string data(64, 'x');
  const auto error = [&](const std::string& header) { return open_error(file_of(header, data)); };
  EXPECT_THAT(error(one("F33", "[4]", "[0,16]")),
              AllOf(HasSubstr("tensor 'w': dtype"), HasSubstr("'F33'"), HasSubstr("BF16")));
  EXPECT_THAT(error(one("F32", "[4]", "[0,15]")),
              AllOf(HasSubstr("data_offsets: got [0, 15]"), HasSubstr("16 bytes for F32 [4]")));
  EXPECT_THAT(error(one("F32", "[4]", "[16,0]")), HasSubstr("got [16, 0]"));
  EXPECT_THAT(error(one("F32", "[4]", "[0]")), HasSubstr("got 1 numbers, wanted two"));
  EXPECT_THAT(error(one("F32", "[4]", "[0.5,16]")), HasSubstr("got 0.5, wanted whole numbers"));
  EXPECT_THAT(error(one("F32", "[-4]", "[0,16]")), HasSubstr("got -4, wanted whole numbers"));
  EXPECT_THAT(error(one("F32", "[4]", "[-16,0]")), HasSubstr("got -16"));
  EXPECT_THAT(error(one("F32", "4", "[0,16]")), HasSubstr("shape: got 4, wanted a list"));
  EXPECT_THAT(error(R"({"w": 1})"), HasSubstr("tensor 'w': got 1, wanted a JSON object"));
  EXPECT_THAT(error(R"({"w": {"shape": [1]}})"), HasSubstr("dtype: got nothing"));
  EXPECT_THAT(error(R"({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}})"),
              HasSubstr("dtype: got 'F8_E4M3', a quantised type"));
  EXPECT_THAT(error(R"({"__metadata__": {"a": 1}})"), HasSubstr("__metadata__: a: got 1"));
  EXPECT_THAT(
      error("{" + entry("a", "U8", "[8]", "[0,8]") + "," + entry("b", "U8", "[8]", "[7,15]") + "}"),
      AllOf(HasSubstr("tensor 'b'"), HasSubstr("overlaps tensor 'a'")));
  EXPECT_THAT(
      error("{" + entry("a", "U8", "[8]", "[0,8]") + "," + entry("a", "U8", "[8]", "[8,16]") + "}"),
      HasSubstr("the key 'a' twice"));
}

TEST(Safetensors, ShapesThatOverflow) {
  const std::string data(16, 'x');
  // 2^32 x 2^32 wraps to 0 in 64 bits and 2^62 x 4 x 2 to 0 as well: both would pass a careless
  // product.
  for (const char* shape : {"[4294967296,4294967296]", "[4611686018427387904,2]",
                            "[9223372036854775807,9223372036854775807,4]"}) {
    EXPECT_NE(open_error(file_of(one("F32", shape, "[0,0]"), data)), "") << shape;
    EXPECT_NE(open_error(file_of(one("F32", shape, "[0,16]"), data)), "") << shape;
  }
  EXPECT_THAT(open_error(file_of(one("F32", "[4294967296,4294967296]", "[0,0]"), data)),
              HasSubstr("a shape whose size fits 64 bits"));
  EXPECT_THAT(open_error(file_of(one("U8", "[1]", "[18446744073709551615,0]"), data)),
              HasSubstr("whole numbers"));
}

}  // namespace
}  // namespace gracemoe
