#include <fmt/core.h>

#include <algorithm>
#include <variant>

#include "base/error.h"
#include "base/files.h"
#include "base/quantities.h"
#include "interop/convert_placement.h"
#include "interop/sglang.h"
#include "interop/sglang_recorder.h"
#include "interop/tensorrt_llm.h"
#include "interop/token_lists.h"
#include "interop/vllm.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr double kMaxCount = 9007199254740992.0;  // what a statistics file holds exactly

using Content = std::variant<Loads, Tokens>;

std::string names_of(const ConvertOptions& options) {
  return options.inputs[0].string() +
         (options.inputs.size() == 1
              ? ""
              : " and " + std::to_string(options.inputs.size() - 1) + " more");
}

Loads loads_of_file(const ConvertOptions& options, const std::filesystem::path& path, Format from) {
  const std::string name = path.string();
  switch (from) {
    case Format::kStats:
      return {read_statistics(path), {}};
    case Format::kSglangCounts:
      return read_sglang_counts(read_file(path), name, options.choice);
    case Format::kTrtllmStats:
      return read_trtllm_statistics(path);
    case Format::kVllmLoads:
      return read_vllm_loads(read_file(path), name);
    default:
      return read_memra_loads(read_file(path), name, options.num_experts);
  }
}

Loads sum_of_files(const ConvertOptions& options, Format from) {
  Loads sum = loads_of_file(options, options.inputs[0], from);
  for (std::size_t i = 1; i < options.inputs.size(); ++i)
    add_loads(sum, loads_of_file(options, options.inputs[i], from), options.inputs[i].string());
  return sum;
}

Content read_recorder(const ConvertOptions& options, Lines& lines) {
  std::vector<TorchFile> files;
  files.reserve(options.inputs.size());
  for (const auto& input : options.inputs) files.emplace_back(input);
  if (!recorder_has_tokens(files)) return read_recorder_loads(files, options.choice);
  RecorderTokens read = read_recorder_tokens(files, options.choice, options.num_experts);
  if (read.repeated > 0)
    lines.push_back("dropped: " + counted(read.repeated, "token") +
                    " that another rank recorded too");
  if (read.pads > 0) lines.push_back("dropped: " + counted(read.pads, "pad") + " without experts");
  return std::move(read.tokens);
}

Tokens read_requests(const ConvertOptions& options) {
  std::vector<std::string> requests;
  std::vector<std::string> names;
  for (const auto& input : options.inputs) {
    requests.push_back(read_file(input));
    names.push_back(input.string());
  }
  return read_routed_experts(requests, names, {options.layers, options.top_k, options.num_experts},
                             options.choice);
}

Content read_content(const ConvertOptions& options, Format from, std::optional<Format> to,
                     Lines& lines) {
  const bool tokens_wanted = !to || info(*to).holds == Holds::kTokens;
  if (from == Format::kSglangRecorder) return read_recorder(options, lines);
  if (from == Format::kRoutedExperts) return read_requests(options);
  const bool tokens_only = from == Format::kTrace || (from == Format::kMemra && tokens_wanted);
  if (options.inputs.size() > 1 && tokens_only)
    fail_usage({"inputs", std::to_string(options.inputs.size()) + " files of " + info(from).name,
                "one", "loads can be added up; tokens only of dumps and of requests"});
  if (from == Format::kTrace) return Tokens{read_trace(options.inputs[0]), {}};
  if (from == Format::kMemra && tokens_wanted)
    return read_memra_tokens(read_file(options.inputs[0]), options.inputs[0].string(),
                             options.num_experts);
  return sum_of_files(options, from);
}

// Fills what the file left open by what the user said; what both say must agree.
void settle(int& value, int said, const char* what, const std::string& name) {
  if (value > 0 && said > 0 && value != said)
    fail_usage({std::string("--") + what, std::to_string(said),
                std::to_string(value) + ", as " + name + " says", ""});
  if (value == 0) value = said;
}

void settle_statistics(RoutingStatistics& statistics, const ConvertOptions& options, Format to,
                       const std::string& name) {
  settle(statistics.num_experts, options.num_experts, "num-experts", name);
  settle(statistics.top_k, options.top_k, "top-k", name);
  if (!options.model.empty()) statistics.model = options.model;
  if (!options.fingerprint.empty()) statistics.fingerprint = options.fingerprint;
  const bool needed = to == Format::kStats || to == Format::kTrtllmStats;
  if (needed && statistics.top_k == 0)
    fail_usage({"top_k", "nothing", "--top-k K, the experts that a token chooses",
                name + " does not say it"});
  if (statistics.top_k > std::min(statistics.num_experts, kMaxTopK))
    fail_usage({"top_k", std::to_string(statistics.top_k),
                "at most " + std::to_string(std::min(statistics.num_experts, kMaxTopK)), ""});
  if (std::any_of(statistics.load.begin(), statistics.load.end(),
                  [](double v) { return v > kMaxCount; }))
    fail_input({name, "counts that sum to more than 2^53", "smaller ones", ""});
}

void say_read(const Content& content, const std::string& name, Format from, Lines& lines) {
  std::string what;
  if (const auto* tokens = std::get_if<Tokens>(&content)) {
    const RoutingTrace& t = tokens->trace;
    std::int64_t sequences = 0;
    for (std::size_t i = 0; i < t.sequence.size(); ++i)
      sequences += i == 0 || t.sequence[i] != t.sequence[i - 1];
    what = fmt::format("{}, {}, top-{}, {} in {}", counted(t.layers, "MoE layer"),
                       counted(t.num_experts, "expert"), t.top_k, counted(t.tokens(), "token"),
                       counted(sequences, "sequence"));
  } else {
    const RoutingStatistics& s = std::get<Loads>(content).statistics;
    double sum = 0;
    for (const double v : s.load) sum += v;
    what = fmt::format("{}, {}, {:.6g} choices counted", counted(s.layers, "MoE layer"),
                       counted(s.num_experts, "expert"), sum);
  }
  lines.push_back(fmt::format("read {} ({}): {}", name, info(from).name, what));
  say_layers(std::visit([](const auto& c) { return c.numbers; }, content), lines);
}

void write_tokens(const ConvertOptions& options, Tokens& tokens, Format to, Lines& lines) {
  if (!options.model.empty()) tokens.trace.model = options.model;
  if (!options.fingerprint.empty()) tokens.trace.fingerprint = options.fingerprint;
  if (to == Format::kTrace) {
    write_trace(options.out, tokens.trace);
  } else {
    const LayerNumbers numbers =
        numbers_to_write(options.choice, tokens.numbers, tokens.trace.layers);
    write_file(options.out, memra_text(tokens.trace, numbers));
    lines.push_back("not carried: the numbers of experts and of sequences, router weights, names");
  }
  lines.push_back(fmt::format("wrote {} ({}): {}", options.out.string(), info(to).name,
                              counted(tokens.trace.tokens(), "token")));
}

void write_statistics_as(const ConvertOptions& options, Loads& loads, Format to, Lines& lines) {
  RoutingStatistics& statistics = loads.statistics;
  const bool affinity = !statistics.affinity.empty();
  const double factor = make_whole(statistics);
  if (factor != 1)
    lines.push_back(fmt::format("scaled: loads are not whole; times {:g} and rounded", factor));
  const auto numbers = [&] {
    return numbers_to_write(options.choice, loads.numbers, statistics.layers);
  };
  const int devices = options.topology ? options.topology->devices() : loads.devices;
  const int nodes = options.topology ? options.topology->nodes() : loads.nodes;
  switch (to) {
    case Format::kStats:
      write_statistics(options.out, statistics);
      if (!affinity)
        lines.push_back("unknown: which experts are chosen together; plans can go by load only");
      break;
    case Format::kSglangCounts:
      write_file(options.out, sglang_counts_text(statistics, numbers()));
      break;
    case Format::kTrtllmStats:
      write_trtllm_statistics(options.out, statistics, numbers());
      break;
    default:
      write_file(options.out,
                 vllm_loads_text(statistics, std::max(nodes, 1), std::max(devices, 1)));
      break;
  }
  if (affinity && to != Format::kStats)
    lines.push_back("not carried: which experts are chosen together");
  lines.push_back(fmt::format("wrote {} ({}): loads of {} in {}", options.out.string(),
                              info(to).name, counted(statistics.num_experts, "expert"),
                              counted(statistics.layers, "MoE layer")));
}

}  // namespace

void convert_loads(const ConvertOptions& options, Format from, std::optional<Format> target,
                   Lines& lines) {
  Content content = read_content(options, from, target, lines);
  const Format to =
      target ? *target
             : (std::holds_alternative<Tokens>(content) ? Format::kTrace : Format::kStats);
  const std::string name = names_of(options);
  say_read(content, name, from, lines);
  if (auto* tokens = std::get_if<Tokens>(&content)) {
    settle(tokens->trace.num_experts, options.num_experts, "num-experts", name);
    settle(tokens->trace.top_k, options.top_k, "top-k", name);
    if (info(to).holds == Holds::kTokens) {
      write_tokens(options, *tokens, to, lines);
      return;
    }
    content = Loads{count_statistics(tokens->trace), tokens->numbers};
  }
  if (info(to).holds == Holds::kTokens) {
    const std::string format = info(to).name;
    fail_input({name, "loads only", "tokens with the experts that they chose, for --to " + format,
                "convert it to statistics: --to stats"});
  }
  Loads& loads = std::get<Loads>(content);
  settle_statistics(loads.statistics, options, to, name);
  write_statistics_as(options, loads, to, lines);
}

}  // namespace gracemoe
