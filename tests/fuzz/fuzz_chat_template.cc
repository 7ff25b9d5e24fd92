// Chat templates, rendered with a conversation.
#include "fuzz/fuzz_target.h"
#include "model/jinja/template.h"
#include "model/tokenizer/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static const OrderedJson kVariables = OrderedJson::parse(R"({
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "1+1? é😀"},
                 {"role": "assistant", "content": "<think>\nhm\n</think>\n\n2", "tool_calls":
                   [{"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]},
                 {"role": "tool", "content": "{}"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [1.5, null, true]}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "words": ["a", "b"], "list": [3, 1, 2],
    "name": "Ada", "map": {"k": "v", "n": {"x": 2}}, "nested": [[1, 2], [3, 4]], "half": 0.5,
    "yes": true, "no": false, "nothing": null, "empty": "", "zero": 0, "three": 3})");
  expect_errors_only([&] {
    const std::string text = jinja::Template(as_text(data, size), "t").render(kVariables);
    expect(first_invalid_utf8(text) == text.size(), "a text that is not UTF-8");
  });
  return 0;
}
