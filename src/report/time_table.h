// Where the time of a run went, as a table for terminals.
#pragma once
#include <span>
#include <string>

#include "metrics/rank_spans.h"
#include "report/text_table.h"

namespace gracemoe {

// For every kind of step (outermost span) its operations by falling time: seconds (mean over the
// ranks), share of the step, microseconds a call, and with several ranks the slowest's seconds. An
// operation's time is without the operations inside it, so that the shares add up to 100%. Empty
// where nothing was recorded.
std::string time_table(std::span<const RankSpans> ranks, Colour colour);

}  // namespace gracemoe
