// Texts that end an answer, wherever in the tokens they begin and end.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace gracemoe {

// The text up to the first place where one of `stops` begins; all of it where none does.
std::string_view before_stop(std::string_view text, const std::vector<std::string>& stops);

// The same for a text that comes in pieces: all that push() gives, then finish(), is before_stop of
// the whole. Keeps back what may be the beginning of a stop.
class StopWatch {
 public:
  explicit StopWatch(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // What is certain to belong to the answer. Nothing any more once stopped().
  std::string push(std::string_view piece);
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace gracemoe
