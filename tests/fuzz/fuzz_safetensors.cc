// A safetensors file; and the same bytes as a model folder's weights, whose tensors are read as
// kernels get them.
#include "fuzz/fuzz_target.h"
#include "model/checkpoint.h"
#include "model/weights.h"
#include "support/temp_dir.h"

namespace {

struct Folder {
  explicit Folder(const std::filesystem::path& file) {
    std::filesystem::create_symlink(file, dir / "model.safetensors");
  }
  gracemoe::TempDir dir;
};

void read_all(gracemoe::Checkpoint& checkpoint) {
  using namespace gracemoe;
  for (const auto& [name, view] : checkpoint.all()) {
    expect_errors_only([&, n = name, shape = view->shape] {
      const Bf16Weights weights =
          bf16_weights(checkpoint.tensor(n, shape), WeightRounding::kRefuse, n);
      unsigned sum = 0;
      for (const bf16 value : weights.data) sum += value.bits;
      expect(sum < ~0U, "a sum of bits");  // every byte has been read
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static MemoryFile file;
  static const Folder folder(file.path());
  file.holding(data, size);
  expect_errors_only([&] {
    Checkpoint checkpoint(folder.dir.path());
    read_all(checkpoint);
  });
  return 0;
}
