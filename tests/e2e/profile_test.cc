// generate --profile: the trace file of a run on two ranks and the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

struct Event {
  std::string name;
  double start = 0, end = 0;
};

// Complete events of each process, in the file's order.
std::map<int, std::vector<Event>> events_of(const Json& file) {
  std::map<int, std::vector<Event>> events;
  for (const Json& event : file.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    const double start = event.at("ts").get<double>();
    events[event.at("pid").get<int>()].push_back(
        {event.at("name").get<std::string>(), start, start + event.at("dur").get<double>()});
  }
  return events;
}

// Every span lies inside the one that encloses it. Returns the share of the steps that their direct
// parts cover.
double expect_nested(const std::vector<Event>& events) {
  constexpr double kDigit = 1e-3;  // microseconds: the file's digits
  std::vector<Event> open;
  double steps = 0, covered = 0;
  for (const Event& event : events) {
    while (!open.empty() && open.back().end <= event.start + kDigit / 2) open.pop_back();
    if (open.empty()) {
      EXPECT_THAT(event.name, HasSubstr(" step"));
      steps += event.end - event.start;
    } else {
      EXPECT_LE(event.end, open.back().end + kDigit) << event.name << " in " << open.back().name;
      if (open.size() == 1) covered += event.end - event.start;
    }
    open.push_back(event);
  }
  return covered / steps;
}

TEST(Profile, FileOfTwoRanksNestsAndCoversTheSteps) {
  const TempDir folder;
  const std::string file = folder / "profile.json";
  const ProcessResult result = run_process(under_mpirun(
      2, {GRACEMOE_PROGRAM, "generate", "--quiet", "--threads", "1", "--model",
          std::string(GRACEMOE_SOURCE_DIR) + "/models/gracemoe-demo", "--prompt", "The table",
          "--prompt", "A king", "--max-tokens", "4", "--ignore-eos", "--profile", file}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* word :
       {"prefill step", "decode step", "experts", "(rest of the step)", "slowest s"})
    EXPECT_THAT(result.err, HasSubstr(word));
  const auto ranks = events_of(read_json(file));
  ASSERT_EQ(ranks.size(), 2u);
  for (const auto& [rank, events] : ranks) {
    EXPECT_GT(expect_nested(events), 0.8) << "rank " << rank;
    std::set<std::string> names;
    for (const Event& event : events) names.insert(event.name);
    for (const char* name : {"prefill step", "decode step", "embedding", "layer", "norm", "qkv",
                             "rope", "attention", "output", "gate", "dispatch", "experts",
                             "combine", "add", "head", "sampling", "schedule"})
      EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Profile, AnUnwritableFileIsRefusedBeforeTheRun) {
  const ProcessResult result =
      run_process({GRACEMOE_PROGRAM, "generate", "--quiet", "--model",
                   std::string(GRACEMOE_SOURCE_DIR) + "/models/gracemoe-demo", "--prompt",
                   "The table", "--profile", "/no/such/folder/profile.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("/no/such/folder/profile.json"));
}

}  // namespace
}  // namespace gracemoe
