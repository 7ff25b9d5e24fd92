// The container of PyTorch's files, layer by layer: zip, pickle, tensors.
#include "interop/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "interop/interop_data.h"
#include "interop/torch_builder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(StoredZip, EntriesAreViews) {
  const std::string file = zip_of({{"a", "12"}, {"b/c", ""}, {"d", "3"}});
  const ZipEntries entries = read_stored_zip(view_of(file), "f");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries.at("a").size(), 2U);
  EXPECT_EQ(entries.at("a")[1], std::byte{'2'});
  EXPECT_EQ(entries.at("b/c").size(), 0U);
}

TEST(StoredZip, Refuses) {
  const auto error = [](const std::string& file) {
    return error_of([&] { read_stored_zip(view_of(file), "f"); });
  };
  const auto lie = [&](auto change) {
    ZipParts parts{.entries = {{"a", "12"}, {"b", "3"}}};
    change(parts);
    return error(zip_of(parts));
  };
  EXPECT_EQ(lie([](ZipParts&) {}), "");
  EXPECT_THAT(error(""), HasSubstr("f: got 0 bytes"));
  EXPECT_THAT(error(std::string(100, 'x')), HasSubstr("no end of a zip archive"));
  EXPECT_THAT(lie([](ZipParts& p) { p.method = 8; }), HasSubstr("the compressed entry 'a'"));
  EXPECT_THAT(lie([](ZipParts& p) { p.flags = 1; }), HasSubstr("the encrypted entry 'a'"));
  EXPECT_THAT(lie([](ZipParts& p) { p.size_lie = 1000; }), HasSubstr("entry 'a' outside"));
  EXPECT_THAT(lie([](ZipParts& p) { p.size_lie = 0xffffffffU - 2; }), HasSubstr("64-bit sizes"));
  EXPECT_THAT(lie([](ZipParts& p) { p.offset_lie = 1; }), HasSubstr("at a wrong place"));
  EXPECT_THAT(lie([](ZipParts& p) { p.offset_lie = 0x7fffffffU; }), HasSubstr("wrong place"));
  EXPECT_THAT(lie([](ZipParts& p) { p.directory_lie = 1; }), HasSubstr("outside the file"));
  EXPECT_THAT(error(zip_of({{"a", "1"}, {"a", "2"}})), HasSubstr("entry 'a' twice"));
  // Two names for the same bytes: the data of b inside that of a.
  EXPECT_THAT(lie([](ZipParts& p) {
                p.gap = 100;
                p.size_lie = 50;
              }),
              HasSubstr("overlap"));
  const std::string whole = zip_of({{"a", "12"}, {"b", "3"}});
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error(whole.substr(0, size)), "") << size;
}

const std::set<std::string_view> kAllowed{"good\nname", "collections\nOrderedDict"};

Pickle pickle_of(const std::string& text) {
  return {view_of(text), kAllowed, "p"};
}
std::string shown(const std::string& value) {
  static std::string text;  // outlives the views into it
  text = py_file(value);
  const Pickle pickle = pickle_of(text);
  return show_py(pickle, pickle.root());
}

TEST(Pickle, Values) {
  EXPECT_EQ(shown("N"), "None");
  EXPECT_EQ(shown("\x88"), "True");
  EXPECT_EQ(shown("\x89"), "False");
  EXPECT_EQ(shown("K\xff"), "255");
  EXPECT_EQ(shown("M" + bytes_of<std::uint16_t>(40000)), "40000");
  EXPECT_EQ(shown(py_int(-5)), "-5");
  EXPECT_EQ(shown(std::string("\x8a\x00", 2)), "0");
  EXPECT_EQ(shown(std::string("\x8a\x01\xff", 3)), "-1");
  EXPECT_EQ(shown(std::string("\x8a\x05\0\0\0\0\1", 7)), "4294967296");
  EXPECT_EQ(shown(std::string("\x8a\x08\0\0\0\0\0\0\0\x80", 10)), "-9223372036854775808");
  EXPECT_EQ(shown(std::string("G\x3f\xf8\0\0\0\0\0\0", 9)), "1.500000");
  EXPECT_EQ(shown(py_text("abc")), "'abc'");
  EXPECT_EQ(shown(py_list({py_int(1), py_int(2)})), "a list of 2");
  EXPECT_EQ(shown("]K\1a"), "a list of 1");
  EXPECT_EQ(shown(py_tuple({})), "a tuple of 0");
  EXPECT_EQ(shown("K\1K\2K\3\x87"), "a tuple of 3");
  EXPECT_EQ(shown("}" + py_text("k") + "K\1s"), "a dict");
  EXPECT_EQ(shown("ccollections\nOrderedDict\n)R"), "a dict");
  EXPECT_EQ(shown("cgood\nname\n)R"), "a tensor");
  EXPECT_EQ(shown("cgood\nname\n"), "a name");
}

TEST(Pickle, MemoSharesObjects) {
  // A list, remembered while empty, then filled, and read once more.
  const std::string text = py_file(std::string("]q\0(K\1K\2eh\0\x86", 12));
  const Pickle pickle = pickle_of(text);
  const auto items = pickle.items(std::get<PyObject>(pickle.root()));
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(std::get<PyObject>(items[0]), std::get<PyObject>(items[1]));
  EXPECT_EQ(pickle.items(std::get<PyObject>(items[0])).size(), 2U);
}

TEST(Pickle, NothingButPlainDataIsTaken) {
  const auto error = [](const std::string& value) {
    const std::string text = py_file(value);
    return error_of([&] { pickle_of(text); });
  };
  EXPECT_THAT(error("cos\nsystem\n"), HasSubstr("the name 'os.system'"));
  EXPECT_THAT(error("cposix\nsystem\n" + py_tuple({py_text("true")}) + "R"),
              HasSubstr("nothing else is looked up"));
  for (const char code : std::string("i0123blBdFIL2PSTUVgp\x81\x82\x83\x84\x8b\x8c\x8d\x8e\x8f\x90"
                                     "\x91\x92\x93\x94\x95\x96\x97\x98\xff"))
    EXPECT_THAT(error(std::string("K\1") + code + "abcdefghij\n"), HasSubstr("the pickle opcode"))
        << static_cast<int>(code);
  for (int code = 0; code < 256; ++code)  // whatever it does, it ends as an Error or as data
    for (const char* before : {"", "(", "K\1", "]", "}", "K\1K\1", "](K\1", "cgood\nname\n)"})
      error(std::string(before) + static_cast<char>(code) + "\1\0\0\0");
}

TEST(Pickle, Refuses) {
  const auto error = [](const std::string& text) { return error_of([&] { pickle_of(text); }); };
  const auto of = [&](const std::string& value) { return error(py_file(value)); };
  EXPECT_THAT(error(""), HasSubstr("p: byte 0: got a pickle that ends early"));
  EXPECT_THAT(error("\x80\4N."), HasSubstr("got pickle protocol 4, wanted protocol 2"));
  EXPECT_THAT(of(""), HasSubstr("values left over"));
  EXPECT_THAT(of("NN"), HasSubstr("values left over"));
  EXPECT_THAT(of("(N"), HasSubstr("values left over"));
  EXPECT_THAT(of("t"), HasSubstr("no mark"));
  EXPECT_THAT(of("N\x86"), HasSubstr("missing values"));
  EXPECT_THAT(of("N(\x85"), HasSubstr("missing values"));
  EXPECT_THAT(of("NNa"), HasSubstr("a list"));
  EXPECT_THAT(of("](Nu"), HasSubstr("a key without a value"));
  EXPECT_THAT(of("](NNu"), HasSubstr("a dict"));
  EXPECT_THAT(of("h\5"), HasSubstr("a memo that was never stored"));
  EXPECT_THAT(of("q\5"), HasSubstr("a missing value"));
  EXPECT_THAT(of("K\1)R"), HasSubstr("a call of something else"));
  EXPECT_THAT(of("cgood\nname\nK\1R"), HasSubstr("a tuple of arguments"));
  EXPECT_THAT(of("\x8a\x09"
                 "123456789"),
              HasSubstr("an integer of 9 bytes"));
  EXPECT_THAT(of("X\xff\xff\xff\xff"), HasSubstr("ends early"));
  EXPECT_THAT(of("cgood\nname"), HasSubstr("ends early"));
}

class TorchTensor : public testing::Test {
 protected:
  // The tensor of a file with one storage, entry data/0.
  static IntTensor read(const TensorParts& parts, const std::string& data) {
    const std::string file =
        zip_of({{"x/data.pkl", py_file(py_dict({{"t", py_tensor(parts)}}))}, {"x/data/0", data}});
    return TorchFile(view_of(file), "f").root().tensor("t");
  }
  static std::string error(const TensorParts& parts, const std::string& data) {
    return error_of([&] { read(parts, data); });
  }
  const std::string six_ = bytes_of_list<std::int64_t>({0, 1, 2, 3, 4, -5});
};

TEST_F(TorchTensor, IsReadDensely) {
  const IntTensor tensor = read({.elements = 6, .shape = {2, 3}, .strides = {3, 1}}, six_);
  EXPECT_THAT(tensor.shape, ElementsAre(2, 3));
  EXPECT_THAT(tensor.values, ElementsAre(0, 1, 2, 3, 4, -5));
  EXPECT_THAT(read({.elements = 6, .offset = 4, .shape = {2}, .strides = {1}}, six_).values,
              ElementsAre(4, -5));
  EXPECT_THAT(read({.elements = 6, .shape = {1, 2}, .strides = {77, 1}}, six_).values,
              ElementsAre(0, 1));
  EXPECT_TRUE(read({.elements = 6, .shape = {3, 0}, .strides = {0, 1}}, six_).values.empty());
}

TEST_F(TorchTensor, OfSmallerTypes) {
  EXPECT_THAT(read({.type = "torch\nIntStorage\n", .elements = 2, .shape = {2}, .strides = {1}},
                   bytes_of_list<std::int32_t>({-1, 7}))
                  .values,
              ElementsAre(-1, 7));
  EXPECT_THAT(
      read({.type = "torch\nByteStorage\n", .elements = 2, .shape = {2}, .strides = {1}}, "\xff\1")
          .values,
      ElementsAre(255, 1));
}

TEST_F(TorchTensor, Refuses) {
  const char* not_dense = "do not lie densely";
  EXPECT_THAT(error({.elements = 6, .shape = {3, 2}, .strides = {1, 3}}, six_),
              HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .shape = {1 << 30}, .strides = {0}}, six_),
              HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .shape = {7}, .strides = {1}}, six_), HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .offset = 7, .shape = {0}, .strides = {1}}, six_),
              HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .offset = 5, .shape = {2}, .strides = {1}}, six_),
              HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .shape = {6}, .strides = {}}, six_), HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 6, .shape = {-1}, .strides = {1}}, six_), HasSubstr("at least 0"));
  const int big = 1 << 30;
  EXPECT_THAT(error({.elements = 6, .shape = {big, big, big}, .strides = {0, big, 1}}, six_),
              HasSubstr(not_dense));
  EXPECT_THAT(error({.elements = 7, .shape = {6}, .strides = {1}}, six_),
              HasSubstr("got 48 bytes, wanted 7 elements of 8"));
  EXPECT_THAT(error({.key = "1", .elements = 6, .shape = {6}, .strides = {1}}, six_),
              HasSubstr("no entry data/1"));
  EXPECT_THAT(
      error({.type = "torch\nFloatStorage\n", .elements = 1, .shape = {1}, .strides = {1}}, "abcd"),
      HasSubstr("a tensor of whole numbers"));
}

TEST(TorchFile, Refuses) {
  const auto error = [](std::vector<std::pair<std::string, std::string>> entries) {
    const std::string file = zip_of(std::move(entries));
    return error_of([&] { TorchFile(view_of(file), "f").root().tensor("t"); });
  };
  const std::string dict = py_file(py_dict({{"t", "N"}}));
  EXPECT_THAT(error({{"x/other", ""}}), HasSubstr("without data.pkl"));
  EXPECT_THAT(error({{"x/data.pkl", dict}, {"y/data.pkl", dict}}), HasSubstr("two entries"));
  EXPECT_THAT(error({{"x/data.pkl", py_file("]")}}),
              HasSubstr("f: got a list of 0, wanted a dict"));
  EXPECT_THAT(error({{"x/data.pkl", dict}}), HasSubstr("f: t: got None, wanted a tensor"));
  EXPECT_THAT(error({{"x/data.pkl", py_file("}")}}), HasSubstr("f: t: got nothing"));
  EXPECT_THAT(error({{"x/data.pkl", dict}, {"x/byteorder", "big"}}), HasSubstr("got 'big'"));
  std::vector<std::pair<std::string, std::string>> many(300, {"k", "N"});
  EXPECT_THAT(error({{"x/data.pkl", py_file(py_dict(many))}}), HasSubstr("300 keys"));
}

}  // namespace
}  // namespace gracemoe
