#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"

namespace gracemoe {
namespace {

constexpr int kMaxDepth = 64;
constexpr const char* kCorrect = "check that it is the right file, and correct it there";
constexpr std::size_t kMaxShown = 160;  // bytes of a bad value shown in a message

std::string shortened(std::string text) {
  if (text.size() <= kMaxShown) return text;
  std::size_t end = kMaxShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;  // whole UTF-8
  return text.substr(0, end) + "...";
}

// "line 3, column 7" of the byte with this 1-based number.
std::string place(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, byte == 0 ? 0 : byte - 1);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = before.size() - (newline == before.npos ? 0 : newline + 1) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// What follows the library's own position in its message, or the whole of it.
std::string reason(std::string_view message) {
  const std::size_t column = message.find(", column ");
  const std::size_t colon = column == message.npos ? message.npos : message.find(": ", column);
  if (colon != message.npos) return shortened(std::string(message.substr(colon + 2)));
  const std::size_t bracket = message.find("] ");
  return shortened(std::string(bracket == message.npos ? message : message.substr(bracket + 2)));
}

// Refuses what the library would let pass: keys given twice (the last would win) and unbounded
// nesting.
class Guard {
 public:
  // Only one that keeps the keys can name one given twice; that costs a copy of each.
  Guard(std::string name, bool keep_keys) : name_(std::move(name)), keep_keys_(keep_keys) {}
  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    const auto level = static_cast<std::size_t>(depth);
    if (event == Event::object_start || event == Event::array_start) enter(depth);
    if (event == Event::key) check_key(open_[level], parsed.get_ref<const std::string&>());
    if (event == Event::object_end) some_twice_ |= parsed.size() != open_[level + 1].count;
    return true;
  }
  // Whether an object had a key more than once.
  bool some_twice() const { return some_twice_; }

 private:
  struct Open {
    std::size_t count = 0;
    std::unordered_set<std::string> keys;
  };
  void enter(int depth) {
    if (depth >= kMaxDepth) {
      fail_input({.what = name_,
                  .got = "JSON nested deeper than " + std::to_string(kMaxDepth) + " levels",
                  .wanted = "",
                  .action = "check that this is the right file"});
    }
    const auto level = static_cast<std::size_t>(depth) + 1;
    if (open_.size() <= level) open_.resize(level + 1);
    open_[level].count = 0;
    open_[level].keys.clear();
  }
  void check_key(Open& object, const std::string& key) {
    ++object.count;
    if (!keep_keys_ || object.keys.insert(key).second) return;
    fail_input({.what = name_,
                .got = "the key '" + shortened(key) + "' twice in one object",
                .wanted = "each key once",
                .action = "keep one of them"});
  }
  std::string name_;
  bool keep_keys_, some_twice_ = false;
  std::vector<Open> open_;  // what is open at each depth
};

Json parse_guarded(const std::string& text, Guard& guard) {
  return Json::parse(text, [&guard](int depth, Json::parse_event_t event, Json& parsed) {
    return guard(depth, event, parsed);
  });
}

}  // namespace

std::string show_json(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list of " + std::to_string(value.size());
  return shortened(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

Json parse_json(const std::string& text, const std::string& name) {
  try {
    Guard guard(name, false);
    Json json = parse_guarded(text, guard);
    if (guard.some_twice()) {
      Guard naming(name, true);
      parse_guarded(text, naming);
    }
    return json;
  } catch (const Json::parse_error& e) {
    fail_input(
        {.what = name + ": not valid JSON at " + place(text, e.byte) + ": " + reason(e.what()),
         .got = "",
         .wanted = "",
         .action = "check that the file is complete"});
  } catch (const Json::exception& e) {
    fail_input({.what = name + ": not valid JSON: " + reason(e.what()),
                .got = "",
                .wanted = "",
                .action = "check that the file is complete"});
  }
}

JsonObject::JsonObject(const Json& json, std::string name) : json_(&json), name_(std::move(name)) {
  if (!json.is_object()) {
    fail_input(
        {.what = name_, .got = show_json(json), .wanted = "a JSON object", .action = kCorrect});
  }
}

bool JsonObject::has(const std::string& key) const {
  const auto found = json_->find(key);
  return found != json_->end() && !found->is_null();
}

std::string JsonObject::key_name(const std::string& key) const {
  return name_ + (nested_ ? "." : ": ") + key;
}

void JsonObject::wrong(const std::string& key, const std::string& wanted) const {
  const auto found = json_->find(key);
  fail_input({.what = key_name(key),
              .got = found == json_->end() ? "nothing" : show_json(*found),
              .wanted = wanted,
              .action = kCorrect});
}

const Json& JsonObject::raw(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end()) wrong(key, "a value");
  return *found;
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t min, std::int64_t max) const {
  const auto found = json_->find(key);
  // Unsigned values above int64's range wrap to negative ones in get<int64>: refused by themselves.
  const bool fits = found != json_->end() && found->is_number_integer() &&
                    !(found->is_number_unsigned() &&
                      found->get<std::uint64_t>() >
                          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  const std::int64_t value = fits ? found->get<std::int64_t>() : 0;
  if (!fits || value < min || value > max) {
    wrong(key, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return value;
}

std::int64_t JsonObject::integer_or(const std::string& key, std::int64_t fallback, std::int64_t min,
                                    std::int64_t max) const {
  return has(key) ? integer(key, min, max) : fallback;
}

double JsonObject::number(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end() || !found->is_number() || !std::isfinite(found->get<double>())) {
    wrong(key, "a number");
  }
  return found->get<double>();
}

double JsonObject::number_or(const std::string& key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

bool JsonObject::boolean_or(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  const Json& value = raw(key);
  if (!value.is_boolean()) wrong(key, "true or false");
  return value.get<bool>();
}

std::string JsonObject::text(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end() || !found->is_string()) wrong(key, "a string");
  return found->get<std::string>();
}

std::string JsonObject::text_or(const std::string& key, const std::string& fallback) const {
  return has(key) ? text(key) : fallback;
}

const Json& JsonObject::array(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end() || !found->is_array()) wrong(key, "a list");
  return *found;
}

JsonObject JsonObject::object(const std::string& key) const {
  const auto found = json_->find(key);
  if (found == json_->end() || !found->is_object()) wrong(key, "an object");
  JsonObject inner(*found, key_name(key));
  inner.nested_ = true;
  return inner;
}

}  // namespace gracemoe
