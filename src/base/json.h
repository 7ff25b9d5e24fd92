// JSON with errors that name the file and the key. Include this, not nlohmann/json.hpp, and only in
// .cc files where possible.
#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace gracemoe {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// Errors (kInput): unreadable, malformed (with line and column), a key twice in one object, nested
// deeper than 64 levels.
Json read_json(const std::filesystem::path& path);
Json parse_json(const std::string& text, const std::string& name);

// A value as messages show it: at most a line; objects and lists only by their kind and size.
std::string show_json(const Json& value);

// A view of one JSON object for strict reading: every error names `name` (the file) and the key's
// path. Used like: JsonObject o(json, "plan.json"); int n = o.integer("num_experts", 1, 65535);
class JsonObject {
 public:
  JsonObject(const Json& json, std::string name);  // Error (kInput) if it is not an object
  bool has(const std::string& key) const;          // present and not null
  std::int64_t integer(const std::string& key, std::int64_t min, std::int64_t max) const;
  std::int64_t integer_or(const std::string& key, std::int64_t fallback, std::int64_t min,
                          std::int64_t max) const;
  double number(const std::string& key) const;  // finite
  double number_or(const std::string& key, double fallback) const;
  bool boolean_or(const std::string& key, bool fallback) const;
  std::string text(const std::string& key) const;
  std::string text_or(const std::string& key, const std::string& fallback) const;
  const Json& array(const std::string& key) const;
  JsonObject object(const std::string& key) const;
  const Json& raw(const std::string& key) const;  // Error where missing
  const std::string& name() const { return name_; }
  // "plan.json: topology.nodes": how messages name a key of this object.
  std::string key_name(const std::string& key) const;

 private:
  [[noreturn]] void wrong(const std::string& key, const std::string& wanted) const;
  const Json* json_;
  std::string name_;
  bool nested_ = false;  // name_ already ends in a key
};

}  // namespace gracemoe
