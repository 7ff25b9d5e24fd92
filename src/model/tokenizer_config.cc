#include "model/tokenizer_config.h"

#include "base/files.h"

namespace gracemoe {

std::filesystem::path tokenizer_config_file(const std::filesystem::path& folder) {
  return folder / "tokenizer_config.json";
}

Json read_tokenizer_config(const std::filesystem::path& folder) {
  const std::filesystem::path file = tokenizer_config_file(folder);
  return file_exists(file) ? read_json(file) : Json::object();
}

std::optional<std::string> special_token(const JsonObject& config, const std::string& key) {
  if (!config.has(key)) return std::nullopt;
  return config.raw(key).is_object() ? config.object(key).text("content") : config.text(key);
}

}  // namespace gracemoe
