// The page in a real browser: drawn, complete and quiet, on a wide screen and on a phone, light and
// dark. The screenshots stay in the build folder, for people to look at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "report/html_report.h"
#include "report/sample_page.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::HasSubstr;

constexpr int kNoBrowser = 77;
const std::filesystem::path kCheck =
    std::filesystem::path(GRACEMOE_SOURCE_DIR) / "scripts/check-page";

std::filesystem::path screenshots() {
  return std::filesystem::path(GRACEMOE_PROGRAM).parent_path().parent_path() / "screenshots";
}

TEST(Browser, DrawsThePageWithoutFault) {
  const TempDir folder;
  const auto trace = clustered_trace();
  ReportInput page = sample_page(trace);
  bool narrow = false;
  for (Plan& plan : page.plans) {  // as happens: the axis then needs decimals
    if (plan.layers[0].ratio_curve.empty()) continue;
    plan.layers[0].ratio_curve = {{0, 0, 0.426611}, {plan.layers[0].ratio, 1, 0.426619}};
    narrow = true;
  }
  ASSERT_TRUE(narrow);
  write_html_report(folder / "report.html", page);
  const auto result = run_process({kCheck, folder / "report.html", screenshots()}, 240);
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.out;
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  for (const std::string name : {"wide-light", "wide-dark", "phone-light", "phone-dark"}) {
    const auto shot = read_file(screenshots() / ("report-" + name + ".png"));
    EXPECT_GT(shot.size(), 50'000U) << name;
  }
}

// The check itself must be able to fail.
TEST(Browser, SeesWhatIsWrongWithAPage) {
  const TempDir folder;
  write_file(
      folder / "bad.html",
      std::string_view(
          "<!doctype html><html><body style=\"background:white\"><p>A short page.</p>"
          "<div style=\"width:3000px\">wide</div><img src=\"http://127.0.0.1:9/x.png\" alt=\"\">"
          "<svg viewBox=\"0 0 100 100\" width=\"100\"><text x=\"80\" y=\"50\">cut off text"
          "</text><text x=\"5\" y=\"20\" font-size=\"3\">tiny</text></svg>"
          "<script>console.log('hello')</script></body></html>"));
  const auto result = run_process({kCheck, folder / "bad.html", folder / "shots"}, 240);
  if (result.exit_code == kNoBrowser) GTEST_SKIP() << result.out;
  EXPECT_EQ(result.exit_code, 1);
  for (const char* problem :
       {"nearly empty", "scrolls sideways", "text cut off: text cut off text", "too small to read",
        "asks for http://127.0.0.1:9/x.png", "console", "lightness is 1.00"})
    EXPECT_THAT(result.out, HasSubstr(problem));
}

}  // namespace
}  // namespace gracemoe
