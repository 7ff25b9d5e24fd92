// tokenizer_config.json: what a Hugging Face model folder says of its tokenizer beside
// tokenizer.json.
#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"

namespace gracemoe {

std::filesystem::path tokenizer_config_file(const std::filesystem::path& folder);

// An empty object where the folder has no such file. Errors (kInput): as read_json.
Json read_tokenizer_config(const std::filesystem::path& folder);

// The spelling of "bos_token", "eos_token", ...: given as a string, or as an object with its
// "content"; nullopt where missing or null. Error (kInput): another form.
std::optional<std::string> special_token(const JsonObject& config, const std::string& key);

}  // namespace gracemoe
