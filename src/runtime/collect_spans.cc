#include "runtime/collect_spans.h"

#include "runtime/together.h"

namespace gracemoe {
namespace {

constexpr int kRoot = 0;

// Names, each ended by a line's end: they are literals without one.
std::vector<char> flat_names(const SpanLog& log) {
  std::vector<char> flat;
  for (const std::string& name : log.names) {
    flat.insert(flat.end(), name.begin(), name.end());
    flat.push_back('\n');
  }
  return flat;
}

std::vector<std::string> names_of(const std::vector<char>& flat) {
  std::vector<std::string> names;
  std::string name;
  for (const char c : flat) {
    if (c != '\n') {
      name += c;
      continue;
    }
    names.push_back(name);
    name.clear();
  }
  return names;
}

}  // namespace

std::vector<RankSpans> collect_spans(Transport& transport, const SpanLog& mine,
                                     const std::string& host) {
  const auto names = gather_vectors(transport, flat_names(mine), kRoot);
  const auto events = gather_vectors(transport, mine.events, kRoot);
  const auto totals = gather_vectors(transport, mine.totals, kRoot);
  const auto left_out = gather_vectors(transport, std::vector<std::int64_t>{mine.left_out}, kRoot);
  const auto hosts = gather_vectors(transport, std::vector<char>(host.begin(), host.end()), kRoot);
  std::vector<RankSpans> ranks;
  for (std::size_t i = 0; i < names.size(); ++i) {
    ranks.push_back({static_cast<int>(i),
                     {hosts[i].begin(), hosts[i].end()},
                     {names_of(names[i]), events[i], totals[i], left_out[i][0]}});
  }
  return ranks;
}

}  // namespace gracemoe
