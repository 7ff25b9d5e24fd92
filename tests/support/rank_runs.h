// A model run on ranks that are threads of this process, and what came of it on all of them.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.h"
#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "support/thread_transport.h"

namespace gracemoe {

struct Outcome {
  std::vector<Completion> completions;
  RoutingTrace trace;  // if the options record it
  RunStatistics statistics;
  std::map<std::uint64_t, std::uint64_t> row_logits;  // of a request: a hash of all its rows'
};

enum class Logits { kSampled, kEveryRow };

inline Outcome run_on_ranks(const DeploymentOptions& options, const Topology& topology,
                            const std::vector<Request>& requests, int max_rows,
                            Logits logits = Logits::kSampled) {
  Outcome outcome;
  std::mutex guard;
  run_ranks(topology.devices(), [&](Transport& transport) {
    Deployment deployment(options, topology, transport);
    RunOptions how;
    how.ignore_eos = true;
    how.logit_hashes = true;
    how.max_rows = max_rows;
    how.evened = deployment.evened();
    how.always_cut = options.overlap != Overlap::kAuto;
    if (logits == Logits::kEveryRow) {
      how.score = [&](const Request& request, int, std::span<const float> row) {
        const std::lock_guard lock(guard);
        std::uint64_t& hash = outcome.row_logits[request.id];
        hash = hash_bytes(std::as_bytes(row), hash);
      };
    }
    RunTimes times;
    const auto mine =
        run_requests(deployment.model(), transport,
                     requests_of(requests, transport.rank(), transport.size()), how, times);
    auto completions = collect_completions(transport, mine);
    auto statistics = collect_statistics(deployment, times, {}, "here");
    auto trace = options.record_routing ? collect_trace(deployment, "mixed") : RoutingTrace{};
    if (transport.rank() != 0) return;
    outcome.completions = std::move(completions);
    outcome.statistics = std::move(statistics);
    outcome.trace = std::move(trace);
  });
  return outcome;
}

// Tokens, all logits that were hashed, and choices and weights where both recorded them: to the
// bit.
inline void expect_same(const Outcome& got, const Outcome& want, const std::string& name) {
  ASSERT_EQ(got.completions.size(), want.completions.size()) << name;
  for (std::size_t i = 0; i < want.completions.size(); ++i) {
    EXPECT_EQ(got.completions[i].tokens, want.completions[i].tokens) << name << " prompt " << i;
    EXPECT_EQ(got.completions[i].logit_hashes, want.completions[i].logit_hashes)
        << name << " prompt " << i;
  }
  if (!got.row_logits.empty() && !want.row_logits.empty()) {
    EXPECT_EQ(got.row_logits, want.row_logits) << name;
  }
  if (got.trace.layers == 0 || want.trace.layers == 0) return;
  EXPECT_TRUE(got.trace.experts == want.trace.experts) << name;
  EXPECT_TRUE(got.trace.weights == want.trace.weights) << name;
}

}  // namespace gracemoe
