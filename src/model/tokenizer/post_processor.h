// The "post_processor" of tokenizer.json: the special tokens that go around an encoded text.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"

namespace gracemoe {

struct PostProcessor {
  std::vector<int> before, after;  // ids

  // `json` may be null (nothing is added). ByteLevel adds nothing: it is about offsets. Error
  // (kInput): a type other than ByteLevel, TemplateProcessing and Sequence; two templates; a
  // template of another form; an id that `vocab_size` excludes.
  static PostProcessor read(const Json& json, const std::string& name, int vocab_size);
};

}  // namespace gracemoe
