#include "model/stop_texts.h"

#include <algorithm>
#include <utility>

namespace gracemoe {
namespace {

// Bytes at the end of the text that begin a stop.
std::size_t open_tail(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops)
    for (std::size_t size = std::min(stop.size() - 1, text.size()); size > longest; --size)
      if (text.ends_with(std::string_view(stop).substr(0, size))) longest = size;
  return longest;
}

}  // namespace

std::string_view before_stop(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t end = text.size();
  for (const std::string& stop : stops) end = std::min(end, text.find(stop));
  return text.substr(0, end);
}

std::string StopWatch::push(std::string_view piece) {
  if (stopped_) return "";
  pending_ += piece;
  const std::string_view certain = before_stop(pending_, stops_);
  stopped_ = certain.size() < pending_.size();
  const std::size_t size =
      stopped_ ? certain.size() : pending_.size() - open_tail(pending_, stops_);
  std::string out = pending_.substr(0, size);
  pending_.erase(0, size);
  return out;
}

std::string StopWatch::finish() {
  return stopped_ ? "" : std::exchange(pending_, {});
}

}  // namespace gracemoe
