// Values as text: what {{ }} prints, and JSON as Python's json.dumps writes it.
#include <fmt/core.h>
#include <unicode/uchar.h>

#include <cmath>

#include "model/jinja/text.h"
#include "model/jinja/value.h"
#include "model/tokenizer/utf8.h"

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

std::string json_float(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return float_text(number);
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
    if (const auto* safe = value.as<Safe>()) return append_json_string(out_, safe->text);
    const bool tuple = value.sequence(Sequence::kTuple);
    if (tuple || value.sequence(Sequence::kList)) return write_list(*value.list());
    if (const Dict* dict = value.dict()) return write_dict(*dict);
    if (value.none()) {
      out_ += "null";
    } else if (const bool* flag = value.as<bool>()) {
      out_ += *flag ? "true" : "false";
    } else if (const auto* number = value.as<double>()) {
      out_ += json_float(*number);
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

// str.isprintable of one character.
bool is_printable(char32_t code) {
  constexpr std::uint32_t kOthers = U_GC_C_MASK | U_GC_Z_MASK;  // no characters; blanks
  return code == U' ' || (U_MASK(u_charType(static_cast<UChar32>(code))) & kOthers) == 0;
}

void append_repr(std::string& out, std::string_view text) {
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = double_quotes ? '"' : '\'';
  out += quote;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char character = utf8_at(text, at);
    const char32_t code = character.code;
    const std::size_t size = character.size;
    const std::size_t letter = std::string_view("\n\r\t").find(text[at]);
    if (code == static_cast<unsigned char>(quote) || code == U'\\') {
      (out += '\\') += text[at];
    } else if (letter != text.npos) {
      (out += '\\') += "nrt"[letter];
    } else if (is_printable(code)) {
      out += text.substr(at, size);
    } else {
      const auto number = static_cast<std::uint32_t>(code);
      out += code < 0x100     ? fmt::format("\\x{:02x}", number)
             : code < 0x10000 ? fmt::format("\\u{:04x}", number)
                              : fmt::format("\\U{:08x}", number);
    }
    at += size;
  }
  out += quote;
}

void append_repr(std::string& out, const Value& value, const Place& at);

void append_repr(std::string& out, const List& list, const Place& at) {
  const bool tuple = list.kind == Sequence::kTuple;
  out += tuple ? '(' : '[';
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out += ", ";
    append_repr(out, list.items[i], at);
  }
  if (tuple && list.items.size() == 1) out += ',';
  out += tuple ? ')' : ']';
}

void append_repr(std::string& out, const Dict& dict, const Place& at) {
  out += '{';
  bool first = true;
  for (const auto& [key, item] : dict.items) {
    if (!first) out += ", ";
    first = false;
    append_repr(out, key);
    out += ": ";
    append_repr(out, item, at);
  }
  out += '}';
}

// Python's repr.
void append_repr(std::string& out, const Value& value, const Place& at) {
  if (const std::string* text = value.text()) return append_repr(out, *text);
  if (const Dict* dict = value.dict()) return append_repr(out, *dict, at);
  if (value.sequence(Sequence::kList) || value.sequence(Sequence::kTuple))
    return append_repr(out, *value.list(), at);
  if (value.undefined()) {
    out += "Undefined";
  } else if (value.none() || value.number()) {
    out += to_text(value, at);
  } else {
    fail_at(at, "printing", kind_of(value), "a string, number, list or mapping",
            value.list() != nullptr ? "make it | list" : "");
  }
}

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
  if (const auto* safe = value.as<Safe>()) return safe->text;
  std::string out;
  append_repr(out, value, at);
  return out;
}

std::string to_json(const Value& value, int indent, const Place& at) {
  return JsonWriter(indent, at).run(value);
}

}  // namespace gracemoe::jinja
