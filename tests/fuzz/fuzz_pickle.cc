// The pickle alone: mutations of a whole archive seldom get this far.
#include "fuzz/fuzz_target.h"
#include "interop/pickle.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static const std::set<std::string_view> names{"torch._utils\n_rebuild_tensor_v2",
                                                "torch\nIntStorage", "torch\nLongStorage",
                                                "collections\nOrderedDict"};
  const auto bytes = std::as_bytes(std::span(data, size));
  expect_errors_only([&] {
    const Pickle pickle(bytes, names, "input");
    show_py(pickle, pickle.root());
  });
  return 0;
}
