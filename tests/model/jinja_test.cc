// Templates against what Jinja2 made of them (tests/data/chat/make.py), and the refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "model/jinja/template.h"
#include "support/error_of.h"

namespace gracemoe::jinja {
namespace {

using testing::AllOf;
using testing::HasSubstr;

OrderedJson cases() {
  return OrderedJson::parse(read_file(GRACEMOE_SOURCE_DIR "/tests/data/chat/cases.json"));
}

std::string render(const std::string& source,
                   const OrderedJson& variables = OrderedJson::object()) {
  return Template(source, "t").render(variables);
}
std::string refusal(const std::string& source,
                    const OrderedJson& variables = OrderedJson::object()) {
  return error_of([&] { render(source, variables); });
}

TEST(Jinja, RendersAsJinja2Does) {
  const OrderedJson file = cases();
  EXPECT_GE(file.at("cases").size(), 300U);
  for (const OrderedJson& one : file.at("cases")) {
    const auto source = one.at("template").get<std::string>();
    try {
      EXPECT_EQ(render(source, file.at("variables")), one.at("rendered").get<std::string>())
          << source;
    } catch (const Error& error) {
      ADD_FAILURE() << source << "\n  " << error.what();
    }
  }
}

TEST(Jinja, RefusesWhatJinja2Refuses) {
  const OrderedJson file = cases();
  for (const OrderedJson& source : file.at("errors"))
    EXPECT_THAT(refusal(source.get<std::string>(), file.at("variables")), HasSubstr("t: line 1: "))
        << source;
}

TEST(Jinja, ErrorsTellTheLine) {
  EXPECT_EQ(refusal("a\nb {{ c.d }}"),
            "t: line 2: .d: got an undefined value (c), wanted a value; correct the template, or "
            "give another with --template FILE");
  EXPECT_THAT(refusal("{# x\n\n #}\n{% filter upper %}"),
              AllOf(HasSubstr("t: line 4: a statement: got 'filter', wanted if, for, set"),
                    HasSubstr("a part of Jinja that gracemoe does not have")));
  EXPECT_THAT(refusal("{{ '\n' }}\n{{ 1 | title }}"),
              HasSubstr("t: line 3: a filter: got 'title', wanted one of abs, count, d"));
  EXPECT_THAT(refusal("{{ 1 is sameas 1 }}"), HasSubstr("a test: got 'sameas', wanted one of"));
  EXPECT_THAT(refusal("{% if a\n"), HasSubstr("line 1: a tag: got no end, wanted '%}'"));
  EXPECT_EQ(refusal("{{ raise_exception('only user and assistant') }}"),
            "t: line 1: the template refuses this conversation: only user and assistant; change "
            "the messages as it says, or give another template with --template FILE");
}

TEST(Jinja, WhatPythonHasAndWeHaveNotIsNeverTakenForMissing) {
  EXPECT_THAT(refusal("{% if 'a'.title is defined %}x{% endif %}"),
              HasSubstr("a method: got 'title' of a string"));
  EXPECT_THAT(refusal("{{ {}.update }}"), HasSubstr("'update' of a mapping"));
  EXPECT_THAT(refusal("{{ strftime_now('%Y') }}"),
              HasSubstr("a call: got an undefined value (strftime_now)"));
  EXPECT_THAT(refusal("{{ 'x' | tojson(ensure_ascii=true) }}"), HasSubstr("ensure_ascii=true"));
  EXPECT_THAT(refusal("{{ '\\N{BULLET}' }}"), HasSubstr("a string: got \\N"));
  EXPECT_THAT(refusal("{% if x %}{% macro m() %}{% endmacro %}{% endif %}"),
              HasSubstr("macros outside of all others"));
  for (const char* name : {"varargs", "kwargs", "self", "cycler", "joiner", "lipsum", "dict"})
    EXPECT_THAT(refusal("{% macro m() %}{{ " + std::string(name) + " }}{% endmacro %}{{ m() }}"),
                HasSubstr("a name: got '" + std::string(name) + "'"));
  EXPECT_THAT(refusal("{% macro m() %}{% endmacro %}{{ m.name }}"),
              HasSubstr(".name: got a function (m), wanted a call"));
  EXPECT_THAT(refusal("{% for x in [1] %}{{ loop.cycle }}{% endfor %}"),
              HasSubstr("printing: got a function (loop.cycle)"));
  EXPECT_THAT(refusal("{% for x in [1] %}{{ loop.changed(x) }}{% endfor %}"),
              HasSubstr("a method: got loop.changed"));
  EXPECT_EQ(render("{% for x in [1] %}{% for y in [1] %}{{ loop.depth ~ loop.depth0 }}{% endfor %}"
                   "{% endfor %}{% set self = 1 %}{{ self }}"),
            "101");
  EXPECT_THAT(refusal("{% for x in [1] recursive %}{% endfor %}"), HasSubstr("got 'recursive'"));
}

// Python's views have no elements by number, its iterators no length, and are empty the second
// time: a template that takes them for lists is refused where Python would go on with something
// else.
TEST(Jinja, WhatIsNoListIsNotTakenForOne) {
  const OrderedJson variables = {{"map", {{"k", "v"}}}, {"list", {1, 2}}};
  const auto refused = [&](const std::string& expression) {
    return refusal("{{ " + expression + " }}", variables);
  };
  EXPECT_THAT(refused("list | select"), HasSubstr("printing: got an iterator (of map, select"));
  EXPECT_THAT(refused("list | select | length"), HasSubstr("make it | list"));
  EXPECT_THAT(refused("(list | reverse)[0]"), HasSubstr("[...]: got an iterator"));
  EXPECT_THAT(refused("(list | select)[1:]"), HasSubstr("a slice: got an iterator"));
  EXPECT_THAT(refused("list | select | last"), HasSubstr("last: got an iterator"));
  EXPECT_THAT(refused("list | select == list"), HasSubstr("a comparison: got an iterator"));
  EXPECT_THAT(refused("[list | select]"), HasSubstr("a list or mapping of such: got an iterator"));
  EXPECT_THAT(refused("map.keys()[0]"), HasSubstr("got keys, values or items of a mapping"));
  EXPECT_THAT(refused("map.keys()"), HasSubstr("printing: got keys, values or items"));
  EXPECT_THAT(refused("map.keys() | tojson"), HasSubstr("tojson: got keys"));
  EXPECT_THAT(refused("map.values().k"), HasSubstr(".k: got keys"));
  EXPECT_THAT(refused("range(2)"), HasSubstr("printing: got a range"));
  EXPECT_THAT(refused("range(2) + [1]"), HasSubstr("got a range and a list"));
  EXPECT_THAT(refused("range(2).stop"), HasSubstr(".stop: got a range"));
  EXPECT_THAT(refused("(1).real"), HasSubstr(".real: got an integer"));
  EXPECT_THAT(
      refusal("{% set g = [1] | select %}{% for x in g %}{% endfor %}{{ g | list }}"),
      HasSubstr("got an iterator (of map, select, reject, reverse or items) for the second"));
  EXPECT_THAT(refusal("{% for x in [1] %}{{ loop }}{% endfor %}"),
              HasSubstr("printing: got the state of a loop"));
  EXPECT_THAT(refusal("{% for x in [1] %}{{ loop | length }}{% endfor %}"),
              HasSubstr("length: got the state of a loop"));
  EXPECT_THAT(refusal("{% for x in [1] %}{% set l = loop %}{% set l.index = 9 %}{% endfor %}"),
              HasSubstr("setting l.index: got the state of a loop, wanted a namespace"));
}

// Python's string that is marked safe escapes what is added to it.
TEST(Jinja, SafeStringsAreOnlyPrinted) {
  for (const char* one : {"('a' | safe) + '<'", "'<' + ('a' | safe)", "('a' | safe) | upper",
                          "('a' | safe).strip()", "('a' | safe)[0]", "{'a': 1}['a' | safe]"})
    EXPECT_THAT(refusal("{{ " + std::string(one) + " }}"), HasSubstr("a string marked safe"))
        << one;
}

TEST(Jinja, ArgumentsWithoutNamesAreNotGuessed) {
  EXPECT_THAT(refusal("{{ 1 | tojson(2) }}"),
              HasSubstr("an argument without a name, wanted indent="));
  EXPECT_THAT(refusal("{{ '\\é' }}"),
              HasSubstr("a backslash before a character that is not ASCII"));
}

TEST(Jinja, FloatsHoldTheirIntegers) {
  EXPECT_THAT(refusal("{{ 9007199254740993 / 3 }}"), HasSubstr("more than 53 bits as a float"));
  EXPECT_THAT(refusal("{{ (-8) ** 0.5 }}"), HasSubstr("no finite number"));
  EXPECT_THAT(refusal("{{ 0 ** -1 }}"), HasSubstr("no finite number"));
}

TEST(Jinja, IntegersHave64Bits) {
  EXPECT_EQ(render("{{ 9223372036854775807 }}"), "9223372036854775807");
  EXPECT_THAT(refusal("{{ 9223372036854775808 }}"), HasSubstr("wanted one of 64 bits"));
  for (const char* one : {"9223372036854775807 + 1", "-9223372036854775807 - 2", "2 ** 63",
                          "4611686018427387904 * 2", "(-9223372036854775807 - 1) // -1"})
    EXPECT_THAT(refusal("{{ " + std::string(one) + " }}"), HasSubstr("more than 64 bits")) << one;
  EXPECT_EQ(render("{{ (-9223372036854775807 - 1) % -1 }}"), "0");
}

// Templates that would take all memory, all time or all of the stack.
TEST(Jinja, WorkIsBounded) {
  const std::string much = "far more work than a conversation needs";
  EXPECT_THAT(refusal("{% set n = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(100) %}"
                      "{% set n.s = n.s + n.s %}{% endfor %}"),
              HasSubstr(much));
  EXPECT_THAT(refusal("{{ 'a' * 1000000000000 }}"), HasSubstr(much));
  EXPECT_THAT(refusal("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}"
                      "{% endfor %}"),
              HasSubstr(much));
  EXPECT_THAT(refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
              HasSubstr("macros in each other: got more than 400"));
  EXPECT_THAT(refusal("{% set n = namespace(l=[]) %}{% for i in range(200) %}"
                      "{% set n.l = [n.l] %}{% endfor %}"),
              HasSubstr("lists and mappings in each other: got more than 100"));
  EXPECT_THAT(refusal("{% set n = namespace() %}{% set n.n = n %}"), HasSubstr("a namespace"));
  // Small in memory, huge to print or to compare.
  EXPECT_THAT(refusal("{% set n = namespace(l=[]) %}{% for i in range(90) %}"
                      "{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | tojson }}"),
              HasSubstr("a list or mapping: got more than 16777216 bytes"));
  EXPECT_THAT(refusal("{% set n = namespace(l=[]) %}{% for i in range(20) %}"
                      "{% set n.l = [n.l, n.l] %}{% endfor %}{% for i in range(99999) %}"
                      "{{ n.l == n.l }}{% endfor %}"),
              HasSubstr(much));
  std::string deep, close, wide = "{{ 1";
  for (int i = 0; i < 5000; ++i) {
    deep += "(";
    close += ")";
    wide += " + 1";
  }
  EXPECT_THAT(refusal("{{ " + deep + "1" + close + " }}"),
              HasSubstr("more than 60 levels of nesting"));
  EXPECT_THAT(refusal(wide + " }}"), HasSubstr("more than 1000 parts"));
  std::string blocks;
  for (int i = 0; i < 5000; ++i) blocks += "{% if 1 %}";
  EXPECT_THAT(refusal(blocks), HasSubstr("more than 60 levels of nesting"));
}

// A megabyte in a conversation of a thousand turns is no excess.
TEST(Jinja, LongConversationsAreFine) {
  OrderedJson messages = OrderedJson::array();
  for (int i = 0; i < 1000; ++i)
    messages.push_back({{"role", "user"}, {"content", std::string(1000, 'a')}});
  const std::string text = render(
      "{% for m in messages %}{{ '<' + m.role + '>' + m.content | trim + '\n' }}{% endfor %}",
      {{"messages", messages}});
  EXPECT_EQ(text.size(), 1007U * 1000);
}

}  // namespace
}  // namespace gracemoe::jinja
