// Weights in the kernels' layout, and rows cut into the kernels' tiles (see kernels.h for both).
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>

#include "compute/backend.h"
#include "compute/cpu/kernels.h"

namespace gracemoe {

struct PackedShape {
  std::size_t out = 0, in = 0;
  WeightFormat format = WeightFormat::kBf16;
  std::size_t panels() const { return (out + kPanel - 1) / kPanel; }
  std::size_t panel_bytes() const {
    return format == WeightFormat::kInt8 ? (in + kInt8Block - 1) / kInt8Block * kInt8PanelBlock
                                         : (in + 1) / 2 * kPanel * 2 * sizeof(bf16);
  }
  std::size_t bytes() const { return panels() * panel_bytes(); }
  // Columns that exist among the `count` panels from `panel` on.
  std::size_t columns(std::size_t panel, std::size_t count) const {
    return std::min(count * kPanel, out - panel * kPanel);
  }
};

// Where the rows of weights that are to be packed lie: the matrix's row o, or null for a row of
// zeros.
using WeightRow = std::function<const bf16*(std::size_t o)>;

// The rows of a panel -> the panel, 16 byte aligned. Each row is read on its own, some kB at a
// time: rows a page apart would evict each other if they were read side by side.
void pack_bf16_panel(const bf16* const* rows, std::size_t in, bf16* panel);

// The same in int8 by blocks: a scale is the block's largest value over 127,
// rounded to bf16; NaN or infinity makes it NaN.
void pack_int8_panel(const bf16* const* rows, std::size_t in, std::byte* panel);

// Panel `panel` of the matrix whose row o is row_of(o), for o < 32 * panels(), into its place among
// the panels [shape.bytes()].
inline void pack_panel(const PackedShape& shape, const WeightRow& row_of, std::size_t panel,
                       std::byte* panels) {
  panels += panel * shape.panel_bytes();
  const bf16* rows[kPanel];
  for (std::size_t c = 0; c < kPanel; ++c) rows[c] = row_of(panel * kPanel + c);
  if (shape.format == WeightFormat::kInt8) {
    pack_int8_panel(rows, shape.in, panels);
  } else {
    pack_bf16_panel(rows, shape.in, reinterpret_cast<bf16*>(panels));
  }
}

inline void pack_matrix(const PackedShape& shape, const WeightRow& row_of, std::byte* panels) {
  for (std::size_t panel = 0; panel < shape.panels(); ++panel) {
    pack_panel(shape, row_of, panel, panels);
  }
}

// `items` cut into the fewest parts of at most `largest`, of nearly equal size: 13 rows are tiles
// of 6 and 7, not 12 and 1, because a tile's cost hardly falls below half its height.
class Cut {
 public:
  Cut(std::size_t items, std::size_t largest)
      : items_(items), parts_((items + largest - 1) / largest) {}
  std::size_t items() const { return items_; }
  std::size_t parts() const { return parts_; }
  std::size_t first(std::size_t part) const { return parts_ == 0 ? 0 : part * items_ / parts_; }
  std::size_t size(std::size_t part) const { return first(part + 1) - first(part); }

 private:
  std::size_t items_, parts_;
};

// Of one panel for the tiles of a block, or of most_panels for one: 12 KB.
using Sums = float[kBlockTiles * kMaxTileRows * kPanel];

// use(panel, count, more) for all panels of [first, last), of which `count` are multiplied at once:
// one with several tiles, as many as the kernels ask for with a lone one. `more`: whether others
// follow.
template <class Use>
void for_each_panels(const ProductKernels& kernels, std::size_t tiles, std::size_t first,
                     std::size_t last, const Use& use) {
  const std::size_t most = tiles > 1 ? 1 : kernels.most_panels;
  for (std::size_t panel = first, count = 0; panel < last; panel += count) {
    const std::size_t left = last - panel;
    count = left <= most ? left : std::min(most, left - (tiles > 1 ? 1 : kernels.fewest_panels));
    use(panel, count, count < left);
  }
}

// The tiles of a block of rows, packed one behind the other at x, `row_bytes` a row, with their
// products at `out`.
class BlockTiles {
 public:
  BlockTiles(const Cut& cut, std::size_t first_tile, std::size_t tiles, const std::byte* x,
             std::size_t row_bytes, float* out, std::size_t out_stride)
      : tiles_(tiles) {
    for (std::size_t t = 0; t < tiles; ++t) {
      const std::size_t row = cut.first(first_tile + t) - cut.first(first_tile);
      tile_[t] = {x + row * row_bytes, cut.size(first_tile + t), out + row * out_stride,
                  out_stride};
    }
  }
  std::span<const ProductTile> all() const { return {tile_, tiles_}; }

 private:
  std::size_t tiles_;
  ProductTile tile_[kBlockTiles];
};

// Panels of a part that several blocks of rows multiply, one after the other: of 2048 inputs in
// bf16 they are 2 MB, which the last-level cache keeps for the blocks behind the first.
constexpr std::size_t kSharedPanels = 16;

// Into how many parts the panels of each of `blocks` blocks are cut, of which `sharing` at most
// have the same: 4 parts for every thread at least, and 64, so that the last part leaves none
// waiting for long, as far as a part keeps `call_panels`, those of a kernel's call. (Whole experts
// would not do: 9 of them on 2 threads take as long as 10.)
inline std::size_t panel_parts(int threads, std::size_t blocks, std::size_t sharing,
                               std::size_t panels, std::size_t call_panels) {
  const std::size_t shared = sharing > 1 ? (panels + kSharedPanels - 1) / kSharedPanels : 1;
  if (threads <= 1 || blocks == 0) return shared;
  const auto parts = [&](std::size_t a_thread) {
    return (a_thread * static_cast<std::size_t>(threads) + blocks - 1) / blocks;
  };
  return std::max({std::min(parts(4), panels), std::min(parts(64), panels / call_panels), shared});
}

}  // namespace gracemoe
