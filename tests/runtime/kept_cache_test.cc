// A conversation whose cache is kept computes only what is new, and answers the same to the bit.
#include "runtime/kept_cache.h"

#include <gtest/gtest.h>

#include "runtime/batch_runner.h"
#include "support/demo.h"

namespace gracemoe {
namespace {

struct Turn {
  Completion completion;
  std::int64_t rows = 0;  // computed
};

class Talk {
 public:
  Talk(const char* model, bool keep) : transport_(make_local_transport()) {
    DeploymentOptions options;
    options.model = test_data(model);
    deployment_.emplace(options, Topology::grid(1, 1), *transport_);
    if (keep) kept_.emplace(deployment_->model());
  }

  Turn say(const std::vector<int>& prompt) {
    Request request;
    request.id = turns_++;
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
    turn.completion =
        run_requests(deployment_->model(), *transport_, std::span(&request, 1), how, times)[0];
    return turn;
  }

 private:
  std::unique_ptr<Transport> transport_;
  std::optional<Deployment> deployment_;
  std::optional<KeptCache> kept_;
  std::uint64_t turns_ = 0;
};

class Kept : public testing::TestWithParam<const char*> {};

TEST_P(Kept, ComputesOnlyWhatIsNew) {
  Talk kept(GetParam(), true), fresh(GetParam(), false);
  std::vector<int> prompt{5, 17, 200, 33, 41};
  const auto both = [&](std::int64_t rows) {
    const Turn a = kept.say(prompt), b = fresh.say(prompt);
    EXPECT_EQ(a.completion.tokens, b.completion.tokens);
    EXPECT_EQ(a.completion.logit_hashes, b.completion.logit_hashes);
    EXPECT_EQ(a.rows, rows);
    EXPECT_EQ(b.rows, static_cast<std::int64_t>(prompt.size()) + 5);
    prompt.insert(prompt.end(), a.completion.tokens.begin(), a.completion.tokens.end());
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

INSTANTIATE_TEST_SUITE_P(Models, Kept, testing::Values("qwen3_moe_tiny", "deepseek_v2_tiny"),
                         [](const auto& param_info) { return std::string(param_info.param); });

}  // namespace
}  // namespace gracemoe
