#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

#include "base/error.h"
#include "interop/token_lists.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr double kMaxAffinity = 536870912.0;  // pairs over all layers, as count_statistics

struct LayerTokens {
  std::vector<std::uint16_t> experts;  // [tokens, top_k]
  std::vector<std::size_t> lines;      // tokens of each line
};
struct MemraFile {
  std::map<int, LayerTokens> layers;  // by their number
  int top_k = 0;
  int num_experts = 0;
};

class LineReader {
 public:
  LineReader(std::string_view line, std::string what) : line_(line), what_(std::move(what)) {}
  // The number at the front, which `after` must follow (0: a comma or the end).
  int number(int min, int max, char after) {
    int value = 0;
    const auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), value);
    const auto size = static_cast<std::size_t>(end - line_.data());
    const bool ends = size == line_.size();
    const char next = ends ? '\0' : line_[size];
    if (error != std::errc() || value < min || value > max ||
        (after != '\0' ? next != after : !ends && next != ','))
      fail_input({what_, "'" + std::string(line_.substr(0, 40)) + "'",
                  "<layer> <tokens> <id,id,...>, numbers of at most " + std::to_string(max), ""});
    line_.remove_prefix(std::min(line_.size(), size + 1));
    return value;
  }
  bool done() const { return line_.empty(); }

 private:
  std::string_view line_;
  std::string what_;
};

void check_distinct(const std::vector<std::uint16_t>& ids, std::size_t top_k,
                    const std::string& what) {
  std::vector<std::uint16_t> token;
  for (std::size_t begin = 0; begin < ids.size(); begin += top_k) {
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(begin);
    token.assign(first, first + static_cast<std::ptrdiff_t>(top_k));
    std::sort(token.begin(), token.end());
    const auto twice = std::adjacent_find(token.begin(), token.end());
    if (twice != token.end())
      fail_input({what, "expert " + std::to_string(*twice) + " twice for a token",
                  "distinct experts", ""});
  }
}

void read_line(MemraFile& file, std::string_view line, const std::string& what) {
  LineReader reader(line, what);
  const int layer = reader.number(0, kMaxHiddenLayers - 1, ' ');
  const auto tokens = static_cast<std::size_t>(reader.number(1, 1 << 30, ' '));
  std::vector<std::uint16_t> ids;
  while (!reader.done()) {
    ids.push_back(static_cast<std::uint16_t>(reader.number(0, kMaxExperts - 1, '\0')));
    file.num_experts = std::max(file.num_experts, ids.back() + 1);
  }
  const std::size_t top_k = ids.size() / tokens;
  if (ids.size() % tokens != 0 || top_k == 0 || top_k > kMaxTopK ||
      (file.top_k != 0 && top_k != static_cast<std::size_t>(file.top_k)))
    fail_input({what, std::to_string(ids.size()) + " ids for " + std::to_string(tokens) + " tokens",
                file.top_k == 0 ? "the same number for each token"
                                : std::to_string(file.top_k) + " for each, as before",
                ""});
  file.top_k = static_cast<int>(top_k);
  check_distinct(ids, top_k, what);
  LayerTokens& all = file.layers[layer];
  all.experts.insert(all.experts.end(), ids.begin(), ids.end());
  all.lines.push_back(tokens);
}

MemraFile read_memra(const std::string& text, const std::string& name, int num_experts) {
  MemraFile file;
  int number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty()) read_line(file, line, name + ": line " + std::to_string(number));
  }
  if (file.layers.empty())
    fail_input({name, "no line", "at least one <layer> <tokens> <id,id,...>", ""});
  if (num_experts > 0 && file.num_experts > num_experts)
    fail_input({name, "expert " + std::to_string(file.num_experts - 1),
                "experts below " + std::to_string(num_experts), ""});
  if (num_experts > 0) file.num_experts = num_experts;
  return file;
}

LayerNumbers numbers_of(const MemraFile& file) {
  LayerNumbers numbers;
  for (const auto& [layer, tokens] : file.layers) numbers.absolute.push_back(layer);
  return numbers;
}

// All layers have the same number of tokens.
std::vector<std::int32_t> sequences_of(const MemraFile& file) {
  const LayerTokens& first = file.layers.begin()->second;
  const bool alike = std::all_of(file.layers.begin(), file.layers.end(), [&](const auto& entry) {
    return entry.second.lines == first.lines;
  });
  std::vector<std::int32_t> sequences;
  for (std::size_t line = 0; line < first.lines.size(); ++line)
    sequences.insert(sequences.end(), first.lines[line],
                     alike ? static_cast<std::int32_t>(line) : 0);
  return sequences;
}

RoutingTrace empty_trace(const MemraFile& file, int layers) {
  RoutingTrace trace;
  trace.num_experts = file.num_experts;
  trace.top_k = file.top_k;
  trace.layers = layers;
  return trace;
}

}  // namespace

Tokens read_memra_tokens(const std::string& text, const std::string& name, int num_experts) {
  const MemraFile file = read_memra(text, name, num_experts);
  const auto k = static_cast<std::size_t>(file.top_k);
  const auto& first = *file.layers.begin();
  for (const auto& [layer, tokens] : file.layers)
    if (tokens.experts.size() != first.second.experts.size())
      fail_input({name + ": layer " + std::to_string(layer),
                  std::to_string(tokens.experts.size() / k) + " tokens",
                  std::to_string(first.second.experts.size() / k) + ", as layer " +
                      std::to_string(first.first) +
                      " has: a trace follows tokens through all layers",
                  "convert it to statistics (--to stats), which count each layer by itself"});
  RoutingTrace trace = empty_trace(file, static_cast<int>(file.layers.size()));
  trace.sequence = sequences_of(file);
  for (std::size_t t = 0; t < trace.sequence.size(); ++t)
    for (const auto& [layer, tokens] : file.layers) {
      const auto at = tokens.experts.begin() + static_cast<std::ptrdiff_t>(t * k);
      trace.experts.insert(trace.experts.end(), at, at + static_cast<std::ptrdiff_t>(k));
    }
  return {std::move(trace), numbers_of(file)};
}

Loads read_memra_loads(const std::string& text, const std::string& name, int num_experts) {
  const MemraFile file = read_memra(text, name, num_experts);
  const double n = file.num_experts;
  if (static_cast<double>(file.layers.size()) * n * n > kMaxAffinity)
    fail_input({name,
                std::to_string(file.num_experts) + " experts in " +
                    std::to_string(file.layers.size()) + " layers",
                "at most 2^29 pairs of experts over all layers", ""});
  Loads loads;
  RoutingStatistics& sum = loads.statistics;
  sum.num_experts = file.num_experts;
  sum.top_k = file.top_k;
  sum.layers = static_cast<int>(file.layers.size());
  for (const auto& [layer, tokens] : file.layers) {
    RoutingTrace trace = empty_trace(file, 1);
    trace.experts = tokens.experts;
    trace.sequence.assign(tokens.experts.size() / static_cast<std::size_t>(file.top_k), 0);
    const RoutingStatistics one = count_statistics(trace);
    sum.load.insert(sum.load.end(), one.load.begin(), one.load.end());
    sum.affinity.insert(sum.affinity.end(), one.affinity.begin(), one.affinity.end());
  }
  loads.numbers = numbers_of(file);
  return loads;
}

std::string memra_text(const RoutingTrace& trace, const LayerNumbers& numbers) {
  std::string text;
  const auto& sequence = trace.sequence;
  for (std::size_t begin = 0, end = 0; begin < sequence.size(); begin = end) {
    while (end < sequence.size() && sequence[end] == sequence[begin]) ++end;
    for (int layer = 0; layer < trace.layers; ++layer) {
      text += std::to_string(numbers.absolute[static_cast<std::size_t>(layer)]) + " " +
              std::to_string(end - begin) + " ";
      for (std::size_t token = begin; token < end; ++token)
        for (const std::uint16_t expert : trace.chosen(static_cast<std::int64_t>(token), layer))
          text += std::to_string(expert) + ",";
      text.back() = '\n';
    }
  }
  return text;
}

}  // namespace gracemoe
