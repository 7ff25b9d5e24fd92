// The chat template of a Hugging Face folder: turns a conversation into the text that the model was
// trained to answer.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "base/json.h"
#include "model/jinja/template.h"

namespace gracemoe {

class ChatTemplate {
 public:
  // Looks for, in this order: chat_template.jinja, "chat_template" of tokenizer_config.json (a
  // template, or a list of named ones, of which "default" is taken). tokenizer_config.json also
  // gives the special tokens' spellings (bos_token, eos_token, ...). `file`, where it is not empty,
  // is taken instead: a template. Errors (kInput): no template in any of these places (says which
  // option gives one), a malformed one.
  static ChatTemplate of_folder(const std::filesystem::path& folder,
                                const std::filesystem::path& file);
  ChatTemplate(const std::string& source, const std::string& name, OrderedJson variables);

  // messages: a list of {"role": ..., "content": ...}; extra: further variables of the template
  // (tools, enable_thinking, ...); "tools" and "documents" are none where not given. Errors
  // (kInput): messages of another form, what the template refuses.
  std::string render(const OrderedJson& messages, bool add_generation_prompt,
                     const OrderedJson& extra) const;

 private:
  jinja::Template template_;
  OrderedJson variables_;
};

}  // namespace gracemoe
