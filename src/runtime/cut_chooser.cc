#include "runtime/cut_chooser.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace gracemoe {
namespace {

// The slower way is tried again from time to time: texts, links and neighbours change. Close by,
// a try costs little; far off, it costs its difference once in so many steps.
constexpr double kClose = 1.25;
constexpr int kTryCloseEvery = 16;
constexpr int kTryFarEvery = 128;
constexpr std::size_t kTriesRemembered = 5;

}  // namespace

bool CutChooser::choose(std::int64_t rows, std::int64_t prompt_rows) {
  GM_CHECK(rows > 0, "a step without rows");
  const int size = std::bit_width(static_cast<std::uint64_t>(rows));
  kind_ = &kinds_[{size, prompt_rows > 0 ? 1 : 0}];
  rows_ = rows;
  const Way &whole = kind_->ways[0], &cut = kind_->ways[1];
  if (!cut.tried() || !whole.tried()) return cut_ = !cut.tried();
  const bool cut_is_faster = cut.usual() < whole.usual();
  const bool due =
      other_is_due(cut_is_faster ? cut : whole, cut_is_faster ? whole : cut, ++kind_->since_other);
  if (due) kind_->since_other = 0;
  return cut_ = cut_is_faster != due;
}

// The median, of two the smaller: what disturbs a step makes it slower.
double CutChooser::Way::usual() const {
  std::vector<double> sorted = seconds_a_row;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

bool CutChooser::other_is_due(const Way& faster, const Way& slower, int since) {
  const bool close = slower.usual() < kClose * faster.usual();
  return since >= (close ? kTryCloseEvery : kTryFarEvery);
}

void CutChooser::took(double seconds) {
  GM_CHECK(kind_ != nullptr, "nothing was chosen");
  if (first_) {
    first_ = false;
    return;
  }
  std::vector<double>& tries = kind_->ways[cut_ ? 1 : 0].seconds_a_row;
  if (tries.size() == kTriesRemembered) tries.erase(tries.begin());
  tries.push_back(seconds / static_cast<double>(rows_));
}

}  // namespace gracemoe
