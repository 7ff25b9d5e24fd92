// gracemoe report as its users meet it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
using testing::Not;

ProcessResult gracemoe(std::vector<std::string> args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return run_process(args);
}

class ReportCommand : public testing::Test {
 protected:
  void SetUp() override {
    const std::string source = GRACEMOE_SOURCE_DIR;
    const auto traced = gracemoe({"profile", "--quiet", "--model", source + "/models/gracemoe-demo",
                                  "--text", source + "/data/text/math.txt", "--max-tokens", "1024",
                                  "--out", file("trace.safetensors")});
    ASSERT_EQ(traced.exit_code, 0) << traced.err;
  }
  void plan(const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> args{
        "plan", "--trace", file("trace.safetensors"), "--topology", "4x1", "--out", file(name)};
    args.insert(args.end(), more.begin(), more.end());
    const auto planned = gracemoe(args);
    ASSERT_EQ(planned.exit_code, 0) << planned.err;
  }
  std::string page(std::vector<std::string> args) {
    args.insert(args.begin(), {"report", "--html", file("page.html")});
    const auto result = gracemoe(args);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_file(file("page.html"));
  }
  std::string file(const std::string& name) const { return folder_ / name; }

 private:
  TempDir folder_;
};

TEST_F(ReportCommand, PlansOnATrace) {
  plan("grace.json", {});
  plan("occult.json", {"--preset", "occult"});
  const auto html = page({"--trace", file("trace.safetensors"), "--plan", file("grace.json"),
                          "--plan", file("occult.json")});
  for (const char* part :
       {"Plans on the trace", "How many other nodes a token visits", "What the exchanges send",
        "Choosing the group sizes", "Experts that are chosen together", "as planned",
        "grace \u2192 occult", "How the plans were made"})
    EXPECT_THAT(html, HasSubstr(part));
  EXPECT_THAT(html, Not(HasSubstr("http")));
}

TEST_F(ReportCommand, PlansWithoutATraceShowWhatTheyCarry) {
  plan("grace.json", {});
  const auto html = page({"--plan", file("grace.json")});
  EXPECT_THAT(html, HasSubstr("Choosing the group sizes"));
  EXPECT_THAT(html, HasSubstr("contiguous \u2192 grace"));
  EXPECT_THAT(html, Not(HasSubstr("Plans on the trace")));
}

// Plans of one preset are told apart by their files.
TEST_F(ReportCommand, PlansOfOnePresetAreNamedByTheirFiles) {
  plan("with.json", {});
  plan("without.json", {"--replication", "none"});
  const auto html = page({"--plan", file("with.json"), file("without.json")});
  EXPECT_THAT(html, HasSubstr("with.json \u2192 without.json"));
}

TEST_F(ReportCommand, RefusesPlansForDifferentClusters) {
  plan("one.json", {});
  plan("other.json", {});
  std::string text = read_file(file("other.json"));
  text.replace(text.find("4x1"), 3, "2x2");
  write_file(file("other.json"), text);
  const auto result = gracemoe(
      {"report", "--plan", file("one.json"), file("other.json"), "--html", file("refused.html")});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("plan 'other.json': got 2x2 devices, wanted 4x1"));
  EXPECT_FALSE(file_exists(file("refused.html")));
}

}  // namespace
}  // namespace gracemoe
