// A conversation whose cache is kept computes only what is new, and answers the same to the bit, on
// any number of ranks.
#include "runtime/kept_cache.h"

#include <gtest/gtest.h>

#include "runtime/batch_runner.h"
#include "runtime/text_windows.h"
#include "support/demo.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

struct Turn {
  Completion completion;
  std::int64_t rows = 0;  // computed
};

// A rank's part in a talk: the first has the requests, as in chat.
class Talk {
 public:
  Talk(const char* model, bool keep, const Topology& topology, Transport& transport)
      : transport_(transport) {
    DeploymentOptions options;
    options.model = test_data(model);
    deployment_.emplace(options, topology, transport_);
    if (keep) kept_.emplace(deployment_->model());
  }

  // Collective; what rank 0 gets.
  Turn say(const std::vector<int>& prompt) {
    Request request;
    request.prompt = prompt;
    request.max_new_tokens = 6;
    RunOptions how;
    how.ignore_eos = true;
    how.logit_hashes = true;
    how.max_rows = 7;
    Turn turn;
    how.progress = [&](std::int64_t done) { turn.rows = done; };
    if (kept_) {
      how.begin_cache = [&](const Request& r, int positions) { return kept_->begin(r, positions); };
      how.end_cache = [&](const Request& r, const Completion& c, KvCache cache) {
        kept_->end(r, c, std::move(cache));
      };
    }
    RunTimes times;
    const auto mine = requests_of({request}, transport_.rank(), transport_.size());
    const auto done = run_requests(deployment_->model(), transport_, mine, how, times);
    if (!done.empty()) turn.completion = done[0];
    return turn;
  }

 private:
  Transport& transport_;
  std::optional<Deployment> deployment_;
  std::optional<KeptCache> kept_;
};

class Kept : public testing::TestWithParam<const char*> {};

// Rank 0's answers; the other ranks say what it says.
void converse(const char* model, const Topology& topology, Transport& transport) {
  Talk kept(model, true, topology, transport), fresh(model, false, topology, transport);
  const bool root = transport.rank() == 0;
  std::vector<int> prompt{5, 17, 200, 33, 41};
  const auto both = [&](std::int64_t rows) {
    const Turn a = kept.say(prompt), b = fresh.say(prompt);
    EXPECT_EQ(a.completion.tokens, b.completion.tokens);
    EXPECT_EQ(a.completion.logit_hashes, b.completion.logit_hashes);
    EXPECT_EQ(a.completion.logit_hashes.size(), root ? 6U : 0U);
    EXPECT_EQ(a.rows, rows);
    EXPECT_EQ(b.rows, static_cast<std::int64_t>(prompt.size()) + 5);
    const auto answer = transport.broadcast(std::as_bytes(std::span(a.completion.tokens)), 0);
    const auto* tokens = reinterpret_cast<const int*>(answer.data());
    prompt.insert(prompt.end(), tokens, tokens + answer.size() / sizeof(int));
  };
  both(5 + 5);
  prompt.push_back(7);
  both(2 + 5);  // the last token of the answer, and the new one
  for (int i = 0; i < 40; ++i) prompt.push_back(60 + i);  // more than there was room for
  both(41 + 5);
  prompt.resize(9);  // an answer that was cut
  prompt.push_back(8);
  both(1 + 5);
  prompt = {5, 17, 3};  // another conversation
  both(1 + 5);
  prompt.resize(3);  // the same again: its last token's logits are wanted
  both(1 + 5);
}

TEST_P(Kept, ComputesOnlyWhatIsNew) {
  for (const char* shape : {"1x1", "2x1", "2x2"}) {
    const Topology topology = Topology::parse(shape);
    run_ranks(topology.devices(),
              [&](Transport& transport) { converse(GetParam(), topology, transport); });
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Kept, testing::Values("qwen3_moe_tiny", "deepseek_v2_tiny"),
                         [](const auto& param_info) { return std::string(param_info.param); });

}  // namespace
}  // namespace gracemoe
