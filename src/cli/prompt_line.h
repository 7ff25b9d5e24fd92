// One line of a file of requests: a prompt, and what it wants other than the rest.
#pragma once
#include <string>
#include <vector>

#include "cli/generation_options.h"
#include "model/chat_template.h"
#include "model/tokenizer.h"
#include "runtime/request.h"

namespace gracemoe {

struct PromptLine {
  Request request = {};  // without id and stream
  std::string custom_id = {};
  int samples = 1;
  bool own_seed = false;
};

// Reads lines for one model. The chat template is looked for where a line has messages first.
class PromptLineReader {
 public:
  // `otherwise`: what holds where a line does not say (its prompt is not read).
  PromptLineReader(const Tokenizer& tokenizer, std::filesystem::path model,
                   std::filesystem::path chat_template, PromptLine otherwise)
      : tokenizer_(tokenizer),
        model_(std::move(model)),
        chat_template_file_(std::move(chat_template)),
        otherwise_(std::move(otherwise)) {}

  // A JSON object with one of "prompt", "messages" and "tokens". Errors (kInput, kUsage), naming
  // `name` and the field: unknown fields, values out of range, what the template refuses.
  PromptLine read(const std::string& json, const std::string& name);
  PromptLine of_text(const std::string& text) const;

 private:
  std::vector<int> prompt_of(const OrderedJson& line, const JsonObject& object);

  const Tokenizer& tokenizer_;
  std::filesystem::path model_, chat_template_file_;
  PromptLine otherwise_;
  std::optional<ChatTemplate> chat_;
};

}  // namespace gracemoe
