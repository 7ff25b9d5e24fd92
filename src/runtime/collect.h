// Gathers what every rank counted into one RunStatistics, completions and routing traces into one
// list.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "metrics/run_statistics.h"
#include "runtime/batch_runner.h"
#include "runtime/deployment.h"

namespace gracemoe {

// What was asked for and what came; completions of all requests.
Workload count_workload(const std::vector<Request>& requests,
                        const std::vector<Completion>& completions);

// Collective; complete on rank 0 only. A device's idle time is, summed over steps and layers, what
// the slowest device's expert products took longer than its own, in CPU seconds: so it tells of
// imbalance also where ranks share cores.
RunStatistics collect_statistics(const Deployment& deployment, const RunTimes& times,
                                 const Workload& workload, const std::string& host);

// Collective; on rank 0 the completions of all ranks, by id; empty elsewhere.
std::vector<Completion> collect_completions(Transport& transport, std::span<const Completion> mine);

// Collective; on rank 0 the recorded choices of all ranks as one trace; empty elsewhere. The
// deployment must record.
RoutingTrace collect_trace(const Deployment& deployment, const std::string& phase);

}  // namespace gracemoe
