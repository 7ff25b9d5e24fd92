// Dense products by our own kernels, and not by oneDNN (onednn_linear.cc, on request), for two
// reasons.
//
// Speed: oneDNN 2.6.3 has no float32 accumulation of bf16 but vdpbf16ps, which Intel runs at half
// the rate of the float32 fma. Microseconds on one core of a Sapphire Rapids (without AMX), least
// of five runs (bench_compute measures them anew):
//   rows                  1     8    64    512
//   256 x 256   oneDNN  2.7  14.1   108    851
//               avx512  2.1   8.5    69    526
//   2048 x 2048 oneDNN  345   884  7191  53955
//               avx512  314   620  5112  42550
// On Zen 4, where vdpbf16ps is fast, oneDNN falls from 216 GFLOP/s at 512 rows to 110 at 8.
//
// Certainty: here a row's bits cannot depend on its batch (kernels.h says why). oneDNN's did not in
// the shapes that were tried, but it promises nothing, and chooses its blocking anew for every
// shape, machine and version.
//
// What is given up: AMX, which would make long prefills several times as fast where it is there.
#include "compute/checks.h"
#include "compute/cpu/buffer.h"
#include "compute/cpu/packed_matrix.h"
#include "compute/cpu/panel_memory.h"
#include "compute/cpu/parallel.h"
#include "compute/cpu/parts.h"

namespace gracemoe {
namespace {

class PackedLinear final : public Linear {
 public:
  PackedLinear(WeightView weight, const ProductKernels& kernels, int threads,
               const std::shared_ptr<BufferShelf>& shelf, const std::shared_ptr<HostMemory>& shared)
      : kernels_(kernels),
        threads_(threads),
        shelf_(shelf),
        shape_{static_cast<std::size_t>(weight.out), static_cast<std::size_t>(weight.in),
               kernels.format},
        panels_(shape_.bytes(), shared) {
    if (!panels_.mine()) return;
    const auto row_of = [&](std::size_t o) {
      return o < shape_.out ? weight.data.data() + o * shape_.in : nullptr;
    };
    parallel_for(
        threads, shape_.panels(), static_cast<double>(shape_.out * shape_.in),
        [&](std::size_t panel, int) { pack_panel(shape_, row_of, panel, panels_.data()); });
  }
  int out() const override { return static_cast<int>(shape_.out); }
  int in() const override { return static_cast<int>(shape_.in); }

  void forward(std::span<const float> x, int rows, std::span<float> y) const override {
    check_linear(*this, x, rows, y);
    const Cut tiles(static_cast<std::size_t>(rows), kernels_.max_rows);
    const Cut blocks(tiles.parts(), kBlockTiles);
    const Cut panels(shape_.panels(), panels_a_part(blocks.parts()));
    const LentBuffer packed(*shelf_, static_cast<std::size_t>(rows) * row_bytes());
    const auto elements = static_cast<double>(x.size());
    parallel_for(threads_, tiles.parts(), elements,
                 [&](std::size_t t, int) { pack(x.data(), tiles, t, packed.data()); });
    parallel_for(threads_, blocks.parts() * panels.parts(),
                 elements * static_cast<double>(shape_.out), [&](std::size_t item, int) {
                   const std::size_t part = item / blocks.parts();
                   const std::size_t block = item % blocks.parts();
                   const Rows block_rows{tiles, blocks.first(block), blocks.size(block)};
                   for_each_panels(
                       kernels_, block_rows.count, panels.first(part), panels.first(part + 1),
                       [&](std::size_t panel, std::size_t count, bool more) {
                         multiply(packed.data(), block_rows, panel, count, more, y.data());
                       });
                 });
  }

 private:
  // The tiles [first, first + count) of all rows.
  struct Rows {
    const Cut& tiles;
    std::size_t first, count;
    std::size_t begin() const { return tiles.first(first); }
    std::size_t end() const { return tiles.first(first + count); }
  };

  std::size_t row_bytes() const { return kernels_.row_bytes(shape_.in); }

  std::size_t panels_a_part(std::size_t blocks) const {
    const std::size_t parts =
        panel_parts(threads_, blocks, blocks, shape_.panels(), kernels_.most_panels);
    return (shape_.panels() + parts - 1) / parts;
  }

  void pack(const float* x, const Cut& tiles, std::size_t t, std::byte* packed) const {
    const float* rows[kMaxTileRows];
    for (std::size_t r = 0; r < tiles.size(t); ++r) rows[r] = x + (tiles.first(t) + r) * shape_.in;
    kernels_.pack_float(rows, tiles.size(t), shape_.in, packed + tiles.first(t) * row_bytes());
  }

  void multiply(const std::byte* packed, const Rows& rows, std::size_t panel, std::size_t count,
                bool more, float* y) const {
    const std::byte* weights = panels_.data() + panel * shape_.panel_bytes();
    const std::byte* next = more ? weights + count * shape_.panel_bytes() : nullptr;
    const std::size_t columns = shape_.columns(panel, count);
    float* out = y + rows.begin() * shape_.out + panel * kPanel;
    const auto products = [&](float* to, std::size_t stride) {
      const BlockTiles tiles(rows.tiles, rows.first, rows.count,
                             packed + rows.begin() * row_bytes(), row_bytes(), to, stride);
      kernels_.multiply(tiles.all(), weights, kernels_.depth(shape_.in), count, next);
    };
    if (columns == count * kPanel) {
      products(out, shape_.out);
      return;
    }
    Sums sums;
    products(sums, count * kPanel);
    for (std::size_t r = 0; r < rows.end() - rows.begin(); ++r) {
      std::copy_n(sums + r * count * kPanel, columns, out + r * shape_.out);
    }
  }

  ProductKernels kernels_;
  int threads_;
  std::shared_ptr<BufferShelf> shelf_;
  PackedShape shape_;
  PanelMemory panels_;
};

}  // namespace

std::unique_ptr<Linear> make_packed_linear(WeightView weight, const ProductKernels& kernels,
                                           int threads, const std::shared_ptr<BufferShelf>& shelf,
                                           const std::shared_ptr<HostMemory>& shared) {
  check_weight(weight);
  return std::make_unique<PackedLinear>(std::move(weight), kernels, threads, shelf, shared);
}

}  // namespace gracemoe
