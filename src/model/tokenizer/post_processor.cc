#include "model/tokenizer/post_processor.h"

#include "base/error.h"

namespace gracemoe {
namespace {

class Reader {
 public:
  Reader(PostProcessor& result, int vocab_size) : result_(result), vocab_size_(vocab_size) {}

  void read(const Json& json, const std::string& name) {
    const JsonObject object(json, name);
    const std::string type = object.text("type");
    if (type == "Sequence") {
      int index = 0;
      for (const Json& part : object.array("processors")) {
        read(part, object.key_name("processors") + "[" + std::to_string(index++) + "]");
      }
    } else if (type == "TemplateProcessing" && !template_seen_) {
      read_template(object);
    } else if (type != "ByteLevel") {
      fail_input({.what = object.key_name("type"),
                  .got = (template_seen_ ? "a second '" : "'") + type + "'",
                  .wanted = "ByteLevel, one TemplateProcessing or a Sequence of them",
                  .action = "this tokenizer needs a post-processor that gracemoe does not have"});
    }
  }

 private:
  void read_template(const JsonObject& json) {
    template_seen_ = true;
    int texts = 0;
    int index = 0;
    for (const Json& part : json.array("single")) {
      const std::string name = json.key_name("single") + "[" + std::to_string(index++) + "]";
      const JsonObject piece(part, name);
      if (piece.has("Sequence")) {
        texts += piece.object("Sequence").text("id") == "A" ? 1 : 2;
      } else {
        add_special(json, piece.object("SpecialToken").text("id"),
                    texts == 0 ? result_.before : result_.after);
      }
    }
    if (texts != 1) {
      fail_input({.what = json.key_name("single"),
                  .got = "a template of another form",
                  .wanted = "sequence A once, with special tokens around it",
                  .action = "this tokenizer needs a template that gracemoe does not have"});
    }
  }

  void add_special(const JsonObject& json, const std::string& token, std::vector<int>& ids) const {
    const JsonObject entry = json.object("special_tokens").object(token);
    int index = 0;
    for (const Json& id : entry.array("ids")) {
      const std::string key = std::to_string(index++);
      const Json one{{key, id}};
      ids.push_back(static_cast<int>(
          JsonObject(one, entry.key_name("ids")).integer(key, 0, std::int64_t{vocab_size_} - 1)));
    }
  }

  PostProcessor& result_;
  int vocab_size_;
  bool template_seen_ = false;
};

}  // namespace

PostProcessor PostProcessor::read(const Json& json, const std::string& name, int vocab_size) {
  PostProcessor result;
  if (!json.is_null()) Reader(result, vocab_size).read(json, name);
  return result;
}

}  // namespace gracemoe
