#include "cli/prompt_line.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/json.h"

namespace gracemoe {
namespace {

constexpr std::array<std::string_view, 24> kLineFields{"prompt",
                                                       "messages",
                                                       "tokens",
                                                       "custom_id",
                                                       "max_tokens",
                                                       "max_completion_tokens",
                                                       "temperature",
                                                       "top_k",
                                                       "top_p",
                                                       "min_p",
                                                       "seed",
                                                       "stop",
                                                       "n",
                                                       "logprobs",
                                                       "top_logprobs",
                                                       "tools",
                                                       "enable_thinking",
                                                       "presence_penalty",
                                                       "model",
                                                       "frequency_penalty",
                                                       "repetition_penalty",
                                                       "user",
                                                       "metadata",
                                                       "chat_template_kwargs"};

void refuse_unknown_fields(const OrderedJson& line, const std::string& name) {
  for (const auto& [key, value] : line.items())
    if (std::find(kLineFields.begin(), kLineFields.end(), key) == kLineFields.end())
      fail_input({name, "the field '" + key + "'", "fields that gracemoe knows",
                  "docs/generation.md lists them; what it knows not it cannot follow"});
}

void read_numbers(const JsonObject& line, Request& request) {
  SamplingOptions& s = request.sampling;
  s.temperature = line.number_or("temperature", s.temperature);
  s.top_k = static_cast<int>(line.integer_or("top_k", s.top_k, 0, 1 << 24));
  s.top_p = line.number_or("top_p", s.top_p);
  s.min_p = line.number_or("min_p", s.min_p);
  s.repetition_penalty = line.number_or("repetition_penalty", s.repetition_penalty);
  s.presence_penalty = line.number_or("presence_penalty", s.presence_penalty);
  s.frequency_penalty = line.number_or("frequency_penalty", s.frequency_penalty);
  for (const char* key : {"max_tokens", "max_completion_tokens"})
    request.max_new_tokens =
        static_cast<int>(line.integer_or(key, request.max_new_tokens, 1, 1 << 20));
}

// A text, or a list of them.
void read_stop(const JsonObject& line, Request& request) {
  if (!line.has("stop")) return;
  const Json& stop = line.raw("stop");
  request.stop.clear();
  for (const Json& one : stop.is_array() ? stop : Json::array({stop})) {
    if (!one.is_string() || one.get_ref<const std::string&>().empty())
      fail_input({line.key_name("stop"), show_json(one), "a text, or a list of texts",
                  "correct this line"});
    request.stop.push_back(one.get<std::string>());
  }
}

// A number, or true and the number in "top_logprobs".
void read_logprobs(const JsonObject& line, Request& request) {
  if (!line.has("logprobs")) return;
  const Json& logprobs = line.raw("logprobs");
  if (logprobs.is_boolean())
    request.logprobs = logprobs.get<bool>()
                           ? static_cast<int>(line.integer_or("top_logprobs", 0, 0, kMaxLogprobs))
                           : -1;
  else
    request.logprobs = static_cast<int>(line.integer("logprobs", 0, kMaxLogprobs));
}

OrderedJson template_variables(const OrderedJson& line, const std::string& name) {
  OrderedJson variables = OrderedJson::object();
  if (line.contains("chat_template_kwargs")) {
    if (!line["chat_template_kwargs"].is_object())
      fail_input({name + ": chat_template_kwargs", "no object",
                  "an object of the template's variables", "correct this line"});
    variables = line["chat_template_kwargs"];
  }
  for (const char* key : {"tools", "enable_thinking"})
    if (line.contains(key) && !line[key].is_null()) variables[key] = line[key];
  return variables;
}

std::vector<int> prompt_ids(const Json& list, const std::string& name) {
  std::vector<int> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > 0x7fffffff)
      fail_input(
          {name + ": tokens", show_json(id), "token ids, integers from 0", "correct this line"});
    ids.push_back(id.get<int>());
  }
  return ids;
}

}  // namespace

std::vector<int> PromptLineReader::prompt_of(const OrderedJson& line, const JsonObject& object) {
  const int given = (object.has("prompt") ? 1 : 0) + (object.has("messages") ? 1 : 0) +
                    (object.has("tokens") ? 1 : 0);
  if (given > 1)
    fail_input({object.name(), std::to_string(given) + " prompts",
                "one of \"prompt\", \"messages\", \"tokens\"", "keep one of them in this line"});
  if (object.has("tokens")) return prompt_ids(object.array("tokens"), object.name());
  if (!object.has("messages")) return tokenizer_.encode(object.text("prompt"), true);
  if (!chat_) chat_ = ChatTemplate::of_folder(model_, chat_template_file_);
  return tokenizer_.encode(
      chat_->render(line["messages"], true, template_variables(line, object.name())), false);
}

PromptLine PromptLineReader::of_text(const std::string& text) const {
  PromptLine result = otherwise_;
  result.request.prompt = tokenizer_.encode(text, true);
  return result;
}

PromptLine PromptLineReader::read(const std::string& text, const std::string& name) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  const OrderedJson line = OrderedJson::parse(text);  // the template sees keys in their order
  refuse_unknown_fields(line, name);
  PromptLine result = otherwise_;
  result.custom_id = object.text_or("custom_id", "");
  result.samples = static_cast<int>(object.integer_or("n", result.samples, 1, 1024));
  result.own_seed = object.has("seed");
  if (result.own_seed)
    result.request.sampling.seed =
        static_cast<std::uint64_t>(object.integer("seed", INT64_MIN, INT64_MAX));
  read_numbers(object, result.request);
  read_stop(object, result.request);
  read_logprobs(object, result.request);
  try {
    check_sampling(result.request.sampling);
    result.request.prompt = prompt_of(line, object);
  } catch (const Error& error) {
    if (std::string(error.what()).starts_with(name)) throw;
    throw Error(error.category(), name + ": " + error.what());
  }
  return result;
}

}  // namespace gracemoe
