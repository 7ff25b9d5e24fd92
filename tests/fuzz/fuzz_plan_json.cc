// Plans; what is read reads back from its own text.
#include "fuzz/fuzz_target.h"
#include "plan/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  expect_errors_only([&] {
    const Plan plan = parse_plan(as_text(data, size), "input");
    const std::string text = plan_text(plan);
    expect(plan_text(parse_plan(text, "its text")) == text, "a plan's text reads back otherwise");
  });
  return 0;
}
