// tokenizer.json; what it gives is used on a text.
#include "fuzz/fuzz_target.h"
#include "model/detokenizer.h"
#include "model/tokenizer.h"
#include "model/tokenizer/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static MemoryFile file;
  file.holding(data, size);
  expect_errors_only([&] {
    const Tokenizer tokenizer(file.path());
    const std::vector<int> ids = tokenizer.encode(
        "Hello the world's 1234 - caf\xc3\xa9 e\xcc\x81 \xf0\x9f\x98\x80 <s><|im_end|>\r\n  x",
        true);
    Detokenizer stream(tokenizer, false);
    std::string pieces;
    for (const int id : ids) pieces += stream.push(id);
    pieces += stream.finish();
    expect(first_invalid_utf8(pieces) == pieces.size(), "a piece that is not UTF-8");
    expect(pieces == tokenizer.decode(ids, false), "pieces that are not the whole");
  });
  return 0;
}
