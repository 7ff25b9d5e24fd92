// Run by mpirun, on any number of ranks: every tiny model against its golden file, on both backends
// and under three kinds of plans made for these ranks.
//   golden_ranks TOPOLOGY
// Exit code 1 where a value is another one than the golden file's.
#include <gtest/gtest.h>

#include <cstdio>

#include "planner/planner.h"
#include "runtime/golden_check.h"

namespace gracemoe {
namespace {

std::shared_ptr<const Plan> plan_for(const GoldenCase& c, const std::string& preset,
                                     const Topology& topology) {
  PlannerOptions how = preset_by_name(preset);
  how.threads = 1;
  how.memory_budget = 1.5;
  how.effort = 0.02;  // any plan will do
  return std::make_shared<const Plan>(make_plan(count_statistics(golden_trace(c)), topology, how));
}

class GoldenOnRanks : public testing::Test {
 public:
  GoldenOnRanks(GoldenCase golden_case, std::string preset, MpiSession& session)
      : case_(std::move(golden_case)), preset_(std::move(preset)), session_(session) {}
  // Collective: all ranks run all tests in one order; rank 0 judges.
  void TestBody() override {
    const auto plan = plan_for(case_, preset_, session_.topology());
    const GoldenRun run = run_golden(case_, plan, session_.topology(), session_.transport());
    if (session_.transport().rank() != 0) return;
    const double logits_rms = expect_logits(case_, run);
    expect_choices(case_, run);
    expect_weights(case_, run);
    expect_continuations(case_, run, logits_rms);
  }

 private:
  GoldenCase case_;
  std::string preset_;
  MpiSession& session_;
};

void register_tests(MpiSession& session) {
  for (const char* model : kTinyModels) {
    for (const bool reference : {true, false}) {
      const GoldenCase c = tiny_case(model, reference);
      for (const std::string preset : {"contiguous", "grace", "grace+"}) {
        testing::RegisterTest("Golden", (c.name + "/" + preset).c_str(), nullptr, nullptr, __FILE__,
                              __LINE__, [c, preset, &session]() -> testing::Test* {
                                return new GoldenOnRanks(c, preset, session);
                              });
      }
    }
  }
}

int run(const std::string& topology) {
  const auto session = MpiSession::start(topology);
  if (session->transport().rank() != 0) {  // its lines would mix with rank 0's
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  register_tests(*session);
  try {
    const int code = RUN_ALL_TESTS();
    session->transport().barrier();
    return code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", session->transport().rank(), error.what());
    session->abort(1);
  }
  return 1;
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  testing::GTEST_FLAG(catch_exceptions) = false;  // an error of one rank ends the job
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s TOPOLOGY\n", argv[0]);
    return 2;
  }
  return gracemoe::run(argv[1]);
}
