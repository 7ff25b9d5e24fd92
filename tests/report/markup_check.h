// A tiny checker of markup: every tag closed in order, attributes quoted, no bare '<' or '&'.
#pragma once
#include <cctype>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace gracemoe {

class MarkupCheck {
 public:
  // Empty if well-formed, else what is wrong.
  static std::string problem(const std::string& text) { return MarkupCheck(text).run(); }

 private:
  explicit MarkupCheck(const std::string& text) : text_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      const std::string wrong = text_[at_] == '<' ? tag() : content();
      if (!wrong.empty()) return wrong + " at " + text_.substr(at_, 60);
    }
    return open_.empty() ? "" : "never closed: " + open_.back();
  }

  std::string content() {
    if (text_[at_] == '&') {
      static const std::regex kEntity("^&(amp|lt|gt|quot|#[0-9]+);");
      if (!std::regex_search(text_.substr(at_, 12), kEntity)) return "bare &";
    }
    if (text_[at_] == '>') return "bare >";
    ++at_;
    return "";
  }

  std::string tag() {
    const std::size_t end = text_.find('>', at_);
    if (end == std::string::npos) return "tag without end";
    std::string inside = text_.substr(at_ + 1, end - at_ - 1);
    if (inside.rfind("!doctype", 0) == 0) return at_ = end + 1, "";
    if (inside[0] == '/') {
      if (open_.empty() || open_.back() != inside.substr(1)) return "closes what is not open";
      open_.pop_back();
      at_ = end + 1;
      return "";
    }
    const bool self_closed = inside.back() == '/';
    if (self_closed) inside.pop_back();
    static const std::regex kTag(R"re([a-z][a-z0-9]*( [a-zA-Z][-a-zA-Z0-9]*="[^"<]*")*)re");
    if (inside.size() < 2000 && !std::regex_match(inside, kTag)) return "malformed tag";
    const std::string name = inside.substr(0, inside.find(' '));
    static const std::set<std::string> kVoid{"meta", "br"};
    at_ = end + 1;
    if (name == "style") return at_ = text_.find("</style>", at_) + 8, "";
    if (!self_closed && !kVoid.contains(name)) open_.push_back(name);
    return "";
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
};

}  // namespace gracemoe
