// Runs the comparison ladder: every row's model is deployed, runs the same requests and is taken
// down again, row by row, round after round, inside one job.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "metrics/run_statistics.h"
#include "planner/cost_model.h"
#include "runtime/batch_runner.h"
#include "runtime/deployment.h"
#include "runtime/request.h"
#include "study/ladder_rows.h"
#include "trace/routing_trace.h"

namespace gracemoe {

struct LadderOptions {
  DeploymentOptions engine;  // plan, exchange and routing are each row's own
  RunOptions run;
  std::vector<LadderSpec> rows;
  int rounds = 1;
  bool warm_up = true;  // all requests run twice, and the first run is not measured
  std::string host;     // this rank's, for the statistics
  bool quiet = false;   // no progress bars
};

// The choices that the model's routers make for these windows (requests that generate nothing), on
// contiguous placement. Collective; the trace is complete on rank 0 and empty elsewhere.
RoutingTrace profile_windows(const LadderOptions& options, const std::vector<Request>& windows,
                             const Topology& topology, Transport& transport);

// One plan a row, rows of one placement share it. Collective: planned on rank 0 from its trace (the
// others' is ignored), the same on every rank. `planning` is called there with each placement's
// description before it is planned; may be empty. Errors: AgreedError, as make_plan().
std::vector<std::shared_ptr<const Plan>> plan_rows(
    const std::vector<LadderSpec>& rows, const RoutingTrace& trace, const CostModel& model,
    Transport& transport, const std::function<void(const std::string&)>& planning);

// [rows][rounds], complete on rank 0, empty elsewhere. Collective. A row's times are those of a
// freshly loaded model's second run, or its first without warm_up. Errors (AgreedError): as
// Deployment; a row that generated other tokens than the first row did.
std::vector<std::vector<RunStatistics>> run_ladder(
    const LadderOptions& options, const std::vector<std::shared_ptr<const Plan>>& plans,
    const std::vector<Request>& requests, const Topology& topology, Transport& transport);

// Error (kInternal) naming both rows, the request and the first token that differs. Sorted by id.
void check_same_completions(const std::string& want_name, const std::vector<Completion>& want,
                            const std::string& got_name, const std::vector<Completion>& got);

}  // namespace gracemoe
