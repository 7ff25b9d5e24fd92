#include "model/jinja/string_literal.h"

#include <algorithm>

#include "model/tokenizer/utf8.h"

namespace gracemoe::jinja {
namespace {

constexpr std::string_view kNames = "\\'\"abfnrtv";
constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

class Unescape {
 public:
  Unescape(std::string_view body, const Place& at) : body_(body), at_(at) {}

  std::string run() {
    while (next_ < body_.size()) {
      const char c = body_[next_++];
      if (c == '\\' && next_ < body_.size())
        escape(body_[next_++]);
      else
        value_ += c;
    }
    return std::move(value_);
  }

 private:
  void escape(char c) {
    const std::size_t simple = kNames.find(c);
    if (simple != kNames.npos) {
      value_ += kValues[simple];
    } else if (is_octal(c)) {
      octal(c);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      code(hexadecimal(c == 'x' ? 2 : c == 'u' ? 4 : 8));
    } else if (c == 'N') {
      fail_at(at_, "a string", "\\N", "the character itself");
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      fail_at(at_, "a string", "a backslash before a character that is not ASCII", "none");
    } else if (c != '\n') {  // a backslash at a line's end joins the lines
      value_ += '\\';
      value_ += c;
    }
  }

  void octal(char first) {
    auto number = static_cast<char32_t>(first - '0');
    for (int i = 0; i < 2 && next_ < body_.size() && is_octal(body_[next_]); ++i)
      number = number * 8 + static_cast<char32_t>(body_[next_++] - '0');
    code(number);
  }

  char32_t hexadecimal(std::size_t digits) {
    const std::string text(body_.substr(next_, digits));
    if (text.size() < digits || text.find_first_not_of("0123456789abcdefABCDEF") != text.npos)
      fail_at(at_, "a string", "an escape of less than " + std::to_string(digits) + " digits",
              "hexadecimal digits");
    next_ += digits;
    return static_cast<char32_t>(std::stoul(text, nullptr, 16));
  }

  void code(char32_t number) {
    if (number > 0x10ffff || (number >= 0xd800 && number < 0xe000))
      fail_at(at_, "a string", "an escape of a number that is no character", "a character");
    append_utf8(value_, number);
  }

  std::string_view body_;
  const Place& at_;
  std::size_t next_ = 0;
  std::string value_;
};

}  // namespace

std::string string_value(std::string_view body, const Place& at) {
  return Unescape(body, at).run();
}

}  // namespace gracemoe::jinja
