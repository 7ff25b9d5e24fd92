// Values as text: what {{ }} prints, and JSON as Python's json.dumps writes it.
#include <fmt/core.h>

#include <cmath>

#include "model/jinja/text.h"
#include "model/jinja/value.h"

namespace gracemoe::jinja {
namespace {

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kShort = "\"\\\n\r\t\b\f";
  constexpr std::string_view kLetters = "\"\\nrtbf";
  out += '"';
  for (const char c : text) {
    const std::size_t at = kShort.find(c);
    if (at != kShort.npos) {
      out += '\\';
      out += kLetters[at];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  JsonWriter(int indent, const Place& at) : indent_(indent), at_(at) {}

  std::string run(const Value& value) {
    write(value);
    return std::move(out_);
  }

 private:
  void write(const Value& value) {
    if (const std::string* text = value.text()) return append_json_string(out_, *text);
    if (const List* list = value.list()) return write_list(*list);
    if (const Dict* dict = value.dict()) return write_dict(*dict);
    if (value.none()) {
      out_ += "null";
    } else if (const bool* flag = value.as<bool>()) {
      out_ += *flag ? "true" : "false";
    } else if (value.number()) {
      out_ += to_text(value, at_);
    } else {
      fail_at(at_, "tojson", kind_of(value), "what JSON can hold");
    }
  }

  void write_list(const List& list) {
    open('[');
    for (const Value& item : list.items) {
      next();
      write(item);
    }
    close(']');
  }

  void write_dict(const Dict& dict) {
    open('{');
    for (const auto& [key, item] : dict.items) {
      next();
      append_json_string(out_, key);
      out_ += ": ";
      write(item);
    }
    close('}');
  }

  void open(char bracket) {
    out_ += bracket;
    ++level_;
    empty_ = true;
  }
  void next() {
    if (!empty_) out_ += indent_ < 0 ? ", " : ",";
    empty_ = false;
    new_line();
  }
  void close(char bracket) {
    --level_;
    if (!empty_) new_line();
    empty_ = false;
    out_ += bracket;
  }
  void new_line() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(level_) * static_cast<std::size_t>(indent_), ' ');
  }

  int indent_;
  const Place& at_;
  int level_ = 0;
  bool empty_ = true;  // nothing stands yet in the list or mapping just opened
  std::string out_;
};

}  // namespace

std::string float_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  const double size = std::fabs(number);
  if (size != 0 && (size < 1e-4 || size >= 1e16)) return fmt::format("{}", number);
  std::string text = fmt::format("{}", number);
  if (text.find('e') != text.npos) text = fmt::format("{:.1f}", number);
  return text.find('.') == text.npos ? text + ".0" : text;
}

std::string to_text(const Value& value, const Place& at) {
  if (const std::string* text = value.text()) return *text;
  if (value.undefined()) return "";
  if (value.none()) return "None";
  if (const bool* flag = value.as<bool>()) return *flag ? "True" : "False";
  if (const auto* number = value.as<std::int64_t>()) return std::to_string(*number);
  if (const double* number = value.as<double>()) return float_text(*number);
  fail_at(at, "printing", kind_of(value), "a string or a number",
          "such a value may be printed as JSON: | tojson");
}

std::string to_json(const Value& value, int indent, const Place& at) {
  return JsonWriter(indent, at).run(value);
}

}  // namespace gracemoe::jinja
