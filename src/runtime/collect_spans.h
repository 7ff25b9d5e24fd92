// The ranks' spans, brought together.
#pragma once
#include <string>
#include <vector>

#include "exchange/transport.h"
#include "metrics/rank_spans.h"

namespace gracemoe {

// Every rank's log on rank 0, empty elsewhere. Collective; no span may be open.
std::vector<RankSpans> collect_spans(Transport& transport, const SpanLog& mine,
                                     const std::string& host);

}  // namespace gracemoe
