#include "cli/profile_option.h"

#include <fmt/core.h>

#include "report/time_table.h"
#include "runtime/collect_spans.h"
#include "runtime/together.h"

namespace gracemoe {

void add_profile_option(CLI::App& command, std::string& file) {
  command.add_option("--profile", file,
                     "print where the time goes, and write every span of it to this file, for "
                     "ui.perfetto.dev or chrome://tracing");
}

void RunProfile::begin(RunOptions& options) {
  if (file_.empty()) return;
  if (recorder_ == nullptr) recorder_ = std::make_unique<SpanRecorder>();
  options.profile = recorder_.get();
}

void RunProfile::write(CliContext& context) {
  if (recorder_ == nullptr) return;
  const std::vector<RankSpans> ranks =
      collect_spans(context.transport(), recorder_->log(), context.host());
  together(context.transport(), [&] {
    if (context.root()) write_trace_events(file_, ranks);
  });
  if (!context.root()) return;
  fmt::print(stderr, "\n{}", time_table(ranks, Colour::kNever));
  std::int64_t left_out = 0;
  for (const RankSpans& rank : ranks) left_out += rank.log.left_out;
  if (left_out > 0)
    fmt::print(stderr, "{}: the last {} spans were left out (the table counts them)\n", file_,
               left_out);
}

}  // namespace gracemoe
