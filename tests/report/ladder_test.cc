#include "report/ladder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "metrics/sample_runs.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<RunStatistics> two_runs() {
  std::vector<RunStatistics> runs{sample_run("vanilla", 8.0), sample_run("grace", 2.5)};
  runs[1].layers[0][0].dispatch_payload.cross_node = 0;
  return runs;
}

TEST(Ladder, RowsHoldTheDerivedFigures) {
  const auto rows = make_ladder(two_runs());
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].name, "vanilla");
  EXPECT_DOUBLE_EQ(rows[0].all_to_all_s, 3.0);
  EXPECT_DOUBLE_EQ(rows[0].all_to_all_max_s, 4.0);
  EXPECT_DOUBLE_EQ(rows[0].cross_node_mb, 3.5);
  EXPECT_DOUBLE_EQ(rows[1].cross_node_mb, 1.5);
  EXPECT_DOUBLE_EQ(rows[0].metadata_mb, 120e-6);
  EXPECT_DOUBLE_EQ(rows[0].load_max_over_mean, 1.25);
  EXPECT_DOUBLE_EQ(rows[0].load_max_over_mean_worst, 1.5);
  EXPECT_DOUBLE_EQ(rows[0].resident_expert_mb, 0.001);
  EXPECT_DOUBLE_EQ(rows[0].speedup_over_first, 1.0);
  EXPECT_DOUBLE_EQ(rows[1].speedup_over_first, 3.2);
}

TEST(Ladder, TextIsAligned) {
  EXPECT_EQ(ladder_text(two_runs(), Colour::kNever),
            "         end-to-end  all-to-all  cross-node  intra-node  device idle  load std  load "
            "max/mean  vs vanilla\n"
            "                  s           s          MB          MB            s     pairs\n"
            "vanilla        8.00        3.00        3.50        0.30         0.25       1.0       "
            "    1.25       1.00x\n"
            "grace          2.50        0.94        1.50        0.30         0.08       1.0       "
            "    1.25       3.20x\n"
            "4 prompts, 40 prompt tokens, 16 generated tokens\n"
            "on A CPU, 2 cores, 4 GB, Linux\n");
}

TEST(Ladder, ColourMarksTheFastestRowOnly) {
  const auto text = ladder_text(two_runs(), Colour::kAlways);
  EXPECT_THAT(text, HasSubstr("\033[1;32mgrace"));
  EXPECT_THAT(text, Not(HasSubstr("\033[1;32mvanilla")));
  EXPECT_THAT(ladder_text(two_runs(), Colour::kNever), Not(HasSubstr("\033")));
}

TEST(Ladder, NamesCannotMoveTheCursorNorBreakTheColumns) {
  auto runs = two_runs();
  runs[0].name = "a\033[2Jb\n";
  runs[1].name =
      "gr\xc3\xa2"
      "ce";  // 5 characters in 6 bytes
  const auto text = ladder_text(runs, Colour::kNever);
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(text, HasSubstr("\na [2Jb         8.00"));
  EXPECT_THAT(text, HasSubstr("\ngr\xc3\xa2"
                              "ce          2.50"));
}

TEST(Ladder, RunWithoutTimeHasNoRatio) {
  auto runs = two_runs();
  runs[1].end_to_end_s = 0;
  EXPECT_EQ(make_ladder(runs)[1].speedup_over_first, 0);
  EXPECT_EQ(ladder_text({}, Colour::kNever), "no runs\n");
}

TEST(Ladder, JsonHoldsRowsMachineAndSettings) {
  const TempDir folder;
  write_ladder_json(folder / "ladder.json", two_runs());
  const Json json = read_json(folder / "ladder.json");
  EXPECT_EQ(json["format"], "gracemoe-ladder");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["machine"]["cpu"], "A CPU");
  EXPECT_EQ(json["workload"]["prompts"], 4);
  ASSERT_EQ(json["rows"].size(), 2U);
  EXPECT_EQ(json["rows"][1]["name"], "grace");
  EXPECT_EQ(json["rows"][1]["settings"]["exchange"], "hierarchical");
  for (const char* key :
       {"end_to_end_s", "all_to_all_s", "cross_node_mb", "intra_node_mb", "device_idle_s",
        "load_std", "load_max_over_mean", "speedup_over_first"}) {
    EXPECT_TRUE(json["rows"][0][key].is_number()) << key;
  }
}

TEST(Ladder, JsonSaysWhenItCannotBeWritten) {
  try {
    write_ladder_json("/proc/nowhere/ladder.json", two_runs());
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kOutput);
    EXPECT_THAT(error.what(), HasSubstr("/proc/nowhere"));
  }
}

TEST(Ladder, MachineLeavesOutWhatIsUnknown) {
  EXPECT_EQ(describe_machine({}), "unknown machine");
  EXPECT_EQ(describe_machine({.cpu = "", .cores = 1, .memory_bytes = 0, .system = "Linux"}),
            "1 core, Linux");
}

}  // namespace
}  // namespace gracemoe
