// Plain lists of tokens and experts.
#include "fuzz/fuzz_target.h"
#include "interop/token_lists.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  const std::string text = as_text(data, size);
  expect_errors_only([&] {
    const Tokens tokens = read_memra_tokens(text, "input", 0);
    const std::string again = memra_text(tokens.trace, tokens.numbers);
    expect(read_memra_tokens(again, "its text", 0).trace.experts == tokens.trace.experts,
           "tokens' text reads back otherwise");
  });
  expect_errors_only([&] { read_routed_experts({text}, {"input"}, {2, 2, 0}, {}); });
  return 0;
}
