// Conversations against what two other renderers made of them, and where templates are found.
#include "model/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PublishedTemplate : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTemplate, RendersEveryCase) {
  const OrderedJson file = OrderedJson::parse(
      read_file(std::string(GRACEMOE_SOURCE_DIR "/tests/data/chat/") + GetParam() + ".json"));
  const ChatTemplate chat(file.at("template").get<std::string>(), GetParam(), file.at("variables"));
  EXPECT_GE(file.at("cases").size(), 6U);
  for (const OrderedJson& one : file.at("cases")) {
    OrderedJson extra = OrderedJson::object();
    for (const char* key : {"enable_thinking", "tools"})
      if (one.contains(key)) extra[key] = one.at(key);
    EXPECT_EQ(chat.render(one.at("messages"), one.at("add_generation_prompt").get<bool>(), extra),
              one.at("rendered").get<std::string>())
        << one.at("label");
  }
}

INSTANTIATE_TEST_SUITE_P(Families, PublishedTemplate, testing::Values("qwen3", "deepseek_v3"));

const OrderedJson kHello = {{{"role", "user"}, {"content", "Hi"}}};

std::string rendered(const ModelFolder& model, const std::filesystem::path& file = {}) {
  return ChatTemplate::of_folder(model.path(), file).render(kHello, true, OrderedJson::object());
}

TEST(ChatTemplate, IsFoundInEachOfItsPlaces) {
  const ModelFolder model;
  model.edit_json("tokenizer_config.json", [](Json& json) {
    json["bos_token"] = {{"content", "<s>"}, {"lstrip", false}};
    json["chat_template"] = "{{ bos_token }}A{{ messages[0].content }}";
  });
  EXPECT_EQ(rendered(model), "<s>AHi");
  model.edit_json("tokenizer_config.json", [](Json& json) {
    json["chat_template"] = {{{"name", "tool_use"}, {"template", "T"}},
                             {{"name", "default"}, {"template", "B{{ add_generation_prompt }}"}}};
  });
  EXPECT_EQ(rendered(model), "BTrue");
  write_file(model / "chat_template.jinja", std::string_view("C{{ bos_token }}\n"));
  EXPECT_EQ(rendered(model), "C<s>");
  write_file(model / "mine", std::string_view("D"));
  EXPECT_EQ(rendered(model, model / "mine"), "D");
}

TEST(ChatTemplate, ToolsAndDocumentsAreNoneUntilGiven) {
  const ChatTemplate chat("{{ tools is none }} {{ documents is none }}", "t",
                          OrderedJson::object());
  EXPECT_EQ(chat.render(kHello, true, OrderedJson::object()), "True True");
  EXPECT_EQ(chat.render(kHello, true, {{"tools", {1}}, {"documents", "x"}}), "False False");
}

TEST(ChatTemplate, SaysWhatToDoWithoutOne) {
  const ModelFolder model;
  model.edit_json("tokenizer_config.json", [](Json& json) { json.erase("chat_template"); });
  const std::string advice = "give one with --template FILE";
  EXPECT_THAT(error_of([&] { rendered(model); }), HasSubstr(advice));
  model.remove("tokenizer_config.json");
  EXPECT_THAT(error_of([&] { rendered(model); }), HasSubstr(advice));
}

TEST(ChatTemplate, Refuses) {
  const ModelFolder model;
  model.edit_json("tokenizer_config.json", [](Json& json) { json["chat_template"] = 3; });
  EXPECT_THAT(error_of([&] { rendered(model); }),
              HasSubstr("chat_template: got 3, wanted a string; check that it is the right file"));
  model.edit_json("tokenizer_config.json", [](Json& json) {
    json["chat_template"] = {{{"name", "rag"}, {"template", "T"}}};
  });
  EXPECT_THAT(error_of([&] { rendered(model); }),
              HasSubstr("got 'rag', wanted one named 'default'"));
  model.edit_json("tokenizer_config.json", [](Json& json) { json["chat_template"] = "{{ a b }}"; });
  EXPECT_THAT(error_of([&] { rendered(model); }),
              AllOf(HasSubstr("tokenizer_config.json: chat_template: line 1"), HasSubstr("'b'")));
  const ChatTemplate chat("", "t", OrderedJson::object());
  const auto error = [&](const OrderedJson& messages) {
    return error_of([&] { chat.render(messages, true, OrderedJson::object()); });
  };
  EXPECT_THAT(error(OrderedJson::array()),
              HasSubstr("messages: got an empty list, wanted a list of"));
  EXPECT_THAT(error(OrderedJson::array()), HasSubstr("; give at least one message"));
  EXPECT_THAT(error("x"), HasSubstr("messages: got no list"));
  EXPECT_THAT(error({{{"content", "x"}}}), HasSubstr("messages[0]: got no role"));
  EXPECT_THAT(error({1}),
              AllOf(HasSubstr("messages[0]: got no object"), HasSubstr("; correct this message")));
}

}  // namespace
}  // namespace gracemoe
