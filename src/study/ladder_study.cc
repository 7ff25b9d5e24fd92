#include "study/ladder_study.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/progress.h"
#include "runtime/collect.h"
#include "runtime/cut_chooser.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"
#include "study/shared_plan.h"

namespace gracemoe {
namespace {

constexpr int kRoot = 0;

std::int64_t rows_to_run(const std::vector<Request>& requests) {
  std::int64_t rows = 0;
  for (const Request& r : requests)
    rows += static_cast<std::int64_t>(r.prompt.size()) + std::max(0, r.max_new_tokens - 1);
  return rows;
}

struct Outcome {
  RunTimes times;
  std::vector<Completion> mine;
};

Outcome run_all(Deployment& deployment, const LadderOptions& options,
                const std::vector<Request>& requests, const std::string& title) {
  Transport& transport = deployment.transport();
  Outcome outcome;
  RunOptions run = options.run;
  run.always_cut = deployment.options().overlap != Overlap::kAuto;
  run.evened = deployment.evened();
  ProgressBar bar(title, "tokens", rows_to_run(requests),
                  options.quiet || transport.rank() != kRoot);
  run.progress = [&bar](std::int64_t done) { bar.update(done); };
  const std::vector<Request> mine = requests_of(requests, transport.rank(), transport.size());
  transport.barrier();  // end-to-end time starts when all are ready
  outcome.mine = run_requests(deployment.model(), transport, mine, run, outcome.times);
  return outcome;
}

std::string tokens_text(const std::vector<int>& tokens, std::size_t at) {
  return at < tokens.size() ? "token " + std::to_string(tokens[at])
                            : "the end after " + std::to_string(tokens.size()) + " tokens";
}

// Everything that one row's runs need beyond the job's own.
struct LadderJob {
  const LadderOptions& options;
  const std::vector<Request>& requests;
  const Topology& topology;
  Transport& transport;
  std::vector<Completion> first;  // the first row's, on rank 0
};

RunStatistics run_row(LadderJob& job, const LadderSpec& row, std::shared_ptr<const Plan> plan,
                      int round) {
  DeploymentOptions engine = job.options.engine;
  engine.made_plan = std::move(plan);
  engine.exchange = row.exchange;
  engine.routing = row.routing;
  if (row.overlap != Overlap::kNone) engine.overlap = row.overlap;
  if (row.packing != Packing::kNone) engine.packing = row.packing;
  Deployment deployment(engine, job.topology, job.transport);
  const std::string title = row.name + ", round " + std::to_string(round + 1) + " of " +
                            std::to_string(job.options.rounds);
  CutChooser chooser;
  LadderOptions options = job.options;
  options.run.cut_chooser = &chooser;
  Outcome warm_up;
  if (options.warm_up) {
    warm_up = run_all(deployment, options, job.requests, title + ", warming up");
    deployment.reset_counters();
  }
  const Outcome outcome = run_all(deployment, options, job.requests, title);
  const std::vector<Completion> completions = collect_completions(job.transport, outcome.mine);
  RunStatistics stats = collect_statistics(
      deployment, outcome.times, count_workload(job.requests, completions), job.options.host);
  stats.name = row.name;
  stats.settings.emplace_back("placement", deployment.plan().settings);
  stats.settings.emplace_back("copies", std::to_string(deployment.plan().copies()));
  together(job.transport, [&] {
    if (options.warm_up)
      check_same_completions(row.name + " warming up", warm_up.mine, row.name, outcome.mine);
    if (job.transport.rank() != kRoot) return;
    if (job.first.empty())
      job.first = completions;
    else
      check_same_completions(job.options.rows.front().name, job.first, row.name, completions);
  });
  return stats;
}

}  // namespace

RoutingTrace profile_windows(const LadderOptions& options, const std::vector<Request>& windows,
                             const Topology& topology, Transport& transport) {
  DeploymentOptions engine = options.engine;
  engine.exchange = ExchangeKind::kHierarchical;
  engine.routing = RoutingPolicy::kPrimary;
  engine.record_routing = true;
  Deployment deployment(engine, topology, transport);
  run_all(deployment, options, windows, "profile");
  return collect_trace(deployment, "prefill");
}

std::vector<std::shared_ptr<const Plan>> plan_rows(
    const std::vector<LadderSpec>& rows, const RoutingTrace& trace, const CostModel& model,
    Transport& transport, const std::function<void(const std::string&)>& planning) {
  const bool root = transport.rank() == kRoot;
  RoutingStatistics statistics;
  together(transport, [&] {
    if (root) statistics = count_statistics(trace);
  });
  std::map<std::string, std::shared_ptr<const Plan>> made;  // by preset and description
  std::vector<std::shared_ptr<const Plan>> plans;
  for (const LadderSpec& row : rows) {
    auto& plan = made[row.placement.preset + ": " + describe(row.placement)];
    if (plan == nullptr) {
      std::string text;
      together(transport, [&] {
        if (!root) return;
        if (planning) planning(describe(row.placement));
        PlannerInput input;
        input.statistics = &statistics;
        input.trace = &trace;
        input.model = model;
        text = plan_text(make_plan(input, row.placement));
      });
      plan = share_plan(text, "plan for the row " + row.name, transport);
    }
    plans.push_back(plan);
  }
  return plans;
}

std::vector<std::vector<RunStatistics>> run_ladder(
    const LadderOptions& options, const std::vector<std::shared_ptr<const Plan>>& plans,
    const std::vector<Request>& requests, const Topology& topology, Transport& transport) {
  GM_CHECK(plans.size() == options.rows.size(), "a plan a row");
  std::vector<std::vector<RunStatistics>> measured(options.rows.size());
  LadderJob job{options, requests, topology, transport, {}};
  for (int round = 0; round < options.rounds; ++round)
    for (std::size_t i = 0; i < options.rows.size(); ++i)
      measured[i].push_back(run_row(job, options.rows[i], plans[i], round));
  if (transport.rank() != kRoot) return {};
  return measured;
}

void check_same_completions(const std::string& want_name, const std::vector<Completion>& want,
                            const std::string& got_name, const std::vector<Completion>& got) {
  const std::string what = "rows " + want_name + " and " + got_name + " of the ladder";
  const std::string action = "the rows must differ in time alone; please report this";
  if (want.size() != got.size())
    fail(ErrorCategory::kInternal,
         {what, std::to_string(got.size()) + " completions", std::to_string(want.size()), action});
  for (std::size_t i = 0; i < want.size(); ++i) {
    const std::vector<int>&a = want[i].tokens, &b = got[i].tokens;
    if (a == b) continue;
    const auto at = static_cast<std::size_t>(
        std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
    fail(ErrorCategory::kInternal, {what + ": generated token " + std::to_string(at) +
                                        " of request " + std::to_string(want[i].id),
                                    tokens_text(b, at), tokens_text(a, at), action});
  }
}

}  // namespace gracemoe
