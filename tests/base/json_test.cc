#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string parse_error(const std::string& text) {
  return error_of([&] { parse_json(text, "x.json"); });
}

TEST(Json, MalformedNamesFileLineAndColumn) {
  EXPECT_THAT(parse_error("{\n  \"a\": 1,\n  \"b\": ?\n}"),
              AllOf(HasSubstr("x.json"), HasSubstr("line 3, column 8"), HasSubstr("not valid")));
  EXPECT_THAT(parse_error(""), AllOf(HasSubstr("line 1, column 1"), HasSubstr("end of input")));
  EXPECT_THAT(parse_error("{\"a\": 1"), HasSubstr("line 1, column 8"));
  EXPECT_THAT(parse_error("{} x"), HasSubstr("line 1, column 4"));
  EXPECT_THAT(parse_error("\"\xff\""), HasSubstr("not valid JSON"));
  EXPECT_THAT(parse_error("[1e999]"), HasSubstr("not valid JSON"));
  // A long bad value must not flood the terminal.
  EXPECT_LT(parse_error("[\"" + std::string(100'000, 'x')).size(), 400U);
}

TEST(Json, DepthIsLimited) {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
  };
  EXPECT_EQ(parse_error(nested(64)), "");
  EXPECT_THAT(parse_error(nested(65)), AllOf(HasSubstr("x.json"), HasSubstr("64 levels")));
  EXPECT_THAT(parse_error(std::string(1'000'000, '[')), HasSubstr("64 levels"));
}

TEST(Json, AKeyTwiceIsRefusedOnlyInOneObject) {
  EXPECT_THAT(parse_error(R"({"a": {"b": 1, "c": 2, "b": 3}})"),
              AllOf(HasSubstr("'b'"), HasSubstr("twice")));
  EXPECT_THAT(parse_error(R"({"a": 1, "x": [{}, {"b": {}}], "": 2, "a": {}})"),
              AllOf(HasSubstr("'a' twice"), HasSubstr("; keep one of them")));
  EXPECT_EQ(parse_error(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})"), "");
}

TEST(Json, ReadNamesTheFile) {
  const TempDir dir;
  write_file(dir / "config.json", "{\"a\": }");
  EXPECT_THAT(error_of([&] { read_json(dir / "config.json"); }),
              AllOf(HasSubstr("config.json"), HasSubstr("line 1, column 7")));
  EXPECT_THAT(error_of([&] { read_json(dir / "none.json"); }), HasSubstr("No such file"));
}

class JsonObjectTest : public testing::Test {
 protected:
  const Json json_ = parse_json(R"({"n": 5, "x": 2.5, "big": 18446744073709551615, "t": "text",
      "yes": true, "list": [1], "in": {"deep": {"n": 7}}, "null": null})",
                                "p.json");
  const JsonObject object_{json_, "p.json"};
};

TEST_F(JsonObjectTest, ReadsEachType) {
  EXPECT_EQ(object_.integer("n", 0, 5), 5);
  EXPECT_EQ(object_.integer_or("none", 3, 0, 9), 3);
  EXPECT_EQ(object_.integer_or("null", 3, 0, 9), 3);
  EXPECT_EQ(object_.number("x"), 2.5);
  EXPECT_EQ(object_.number("n"), 5.0);
  EXPECT_EQ(object_.number_or("none", 1.5), 1.5);
  EXPECT_TRUE(object_.boolean_or("yes", false));
  EXPECT_EQ(object_.text("t"), "text");
  EXPECT_EQ(object_.text_or("none", "d"), "d");
  EXPECT_EQ(object_.array("list").size(), 1U);
  EXPECT_EQ(object_.object("in").object("deep").integer("n", 0, 9), 7);
  EXPECT_FALSE(object_.has("null"));
}

TEST_F(JsonObjectTest, ErrorsNameFileKeyAndValue) {
  const std::string advice = "; check that it is the right file, and correct it there";
  const auto error = [&](auto member) { return error_of([&] { member(object_); }); };
  EXPECT_EQ(error([](auto& o) { o.integer("n", 0, 4); }),
            "p.json: n: got 5, wanted an integer from 0 to 4" + advice);
  EXPECT_EQ(error([](auto& o) { o.integer("big", 0, 9); }),
            "p.json: big: got 18446744073709551615, wanted an integer from 0 to 9" + advice);
  EXPECT_EQ(error([](auto& o) { o.integer("x", 0, 4); }),
            "p.json: x: got 2.5, wanted an integer from 0 to 4" + advice);
  EXPECT_EQ(error([](auto& o) { o.integer("yes", 0, 4); }),
            "p.json: yes: got true, wanted an integer from 0 to 4" + advice);
  EXPECT_EQ(error([](auto& o) { o.number("t"); }),
            "p.json: t: got \"text\", wanted a number" + advice);
  EXPECT_EQ(error([](auto& o) { o.text("none"); }),
            "p.json: none: got nothing, wanted a string" + advice);
  EXPECT_EQ(error([](auto& o) { o.boolean_or("n", true); }),
            "p.json: n: got 5, wanted true or false" + advice);
  EXPECT_EQ(error([](auto& o) { o.array("in"); }),
            "p.json: in: got an object, wanted a list" + advice);
  EXPECT_EQ(error([](auto& o) { o.object("list"); }),
            "p.json: list: got a list of 1, wanted an object" + advice);
  EXPECT_EQ(error([](auto& o) { o.object("in").object("deep").text("n"); }),
            "p.json: in.deep.n: got 7, wanted a string" + advice);
  EXPECT_EQ(error_of([] { JsonObject(Json::array(), "p.json"); }),
            "p.json: got a list of 0, wanted a JSON object" + advice);
}

}  // namespace
}  // namespace gracemoe
