#include "model/chat_template.h"

#include <array>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "model/tokenizer_config.h"

namespace gracemoe {
namespace {

constexpr std::array kTokens{"bos_token", "eos_token", "unk_token", "pad_token",
                             "sep_token", "cls_token", "mask_token"};

OrderedJson special_tokens(const JsonObject& config) {
  OrderedJson variables = OrderedJson::object();
  for (const char* key : kTokens) {
    if (const auto spelling = special_token(config, key)) variables[key] = *spelling;
  }
  return variables;
}

std::string default_of(const JsonObject& config) {
  const Json& list = config.array("chat_template");
  std::string names;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonObject one(list[i], config.key_name("chat_template") + "[" + std::to_string(i) + "]");
    if (one.text("name") == "default") return one.text("template");
    names += (names.empty() ? "'" : ", '") + one.text("name") + "'";
  }
  fail_input({config.key_name("chat_template"), names.empty() ? "an empty list" : names,
              "one named 'default'",
              names.empty() ? "write a template to a file and give it with --template"
                            : "write one of them to a file and give it with --template"});
}

std::optional<std::string> template_of(const JsonObject& config) {
  if (!config.has("chat_template")) return std::nullopt;
  if (config.raw("chat_template").is_array()) return default_of(config);
  return config.text("chat_template");
}

void check_messages(const OrderedJson& messages) {
  if (!messages.is_array() || messages.empty())
    fail_input({"messages", messages.is_array() ? "an empty list" : "no list",
                "a list of {\"role\": ..., \"content\": ...}", "give at least one message"});
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const OrderedJson& one = messages[i];
    const std::string name = "messages[" + std::to_string(i) + "]";
    if (!one.is_object() || !one.contains("role") || !one["role"].is_string())
      fail_input({name, one.is_object() ? "no role" : "no object",
                  "an object with \"role\" (system, user, assistant, ...) and \"content\"",
                  "correct this message"});
  }
}

}  // namespace

ChatTemplate ChatTemplate::of_folder(const std::filesystem::path& folder,
                                     const std::filesystem::path& file) {
  const std::filesystem::path config_file = tokenizer_config_file(folder);
  const Json json = read_tokenizer_config(folder);
  const JsonObject config(json, config_file.string());
  OrderedJson variables = special_tokens(config);
  const std::filesystem::path own = folder / "chat_template.jinja";
  const std::filesystem::path chosen = !file.empty() ? file : own;
  if (!file.empty() || file_exists(own))
    return {read_file(chosen), chosen.string(), std::move(variables)};
  const std::optional<std::string> text = template_of(config);
  if (!text)
    fail_input({folder.string(),
                "no chat template in tokenizer_config.json, no chat_template.jinja",
                "a model that was trained to chat",
                "give one with --template FILE, or use generate for plain text"});
  return {*text, config_file.string() + ": chat_template", std::move(variables)};
}

ChatTemplate::ChatTemplate(const std::string& source, const std::string& name,
                           OrderedJson variables)
    : template_(source, name), variables_(std::move(variables)) {}

std::string ChatTemplate::render(const OrderedJson& messages, bool add_generation_prompt,
                                 const OrderedJson& extra) const {
  check_messages(messages);
  OrderedJson variables = variables_;
  // Templates ask "is not none" of these two: they are always there.
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  for (const auto& [key, value] : extra.items()) variables[key] = value;
  variables["messages"] = messages;
  variables["add_generation_prompt"] = add_generation_prompt;
  return template_.render(variables);
}

}  // namespace gracemoe
