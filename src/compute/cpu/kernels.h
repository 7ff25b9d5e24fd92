// The inner loops of the cpu backend, as tables of functions, one table an instruction set.
//
// Products work on panels and tiles:
// - a panel holds 32 outputs' weights, bf16 [pairs][32][2]: pair p of output c is the inputs 2p and
//   2p+1, so that one vector load feeds vdpbf16ps, and a shift or a mask turns it into float32 for
//   the sets without it. Outputs beyond the last and the input beyond an odd width are zero.
// - a tile holds up to max_rows rows of x, [pairs][rows][2], in bf16 or float32.
// Every output element has one accumulator and takes its pairs in rising order, whatever the tile's
// height: that is why a row's result does not depend on its neighbours. Sets without vdpbf16ps
// compute exactly acc = fma(x, w, acc) over rising inputs, hence the same bits as each other.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bf16.h"
#include "compute/cpu/isa.h"

namespace gracemoe {

// With int8 weights both are cut into blocks of kInt8Block inputs (the last filled up with zeros),
// which are multiplied in exact integers, so that all sets give the same bits:
// - a panel's block: int8 [pairs][32][2], then the outputs' scales, bf16 [32];
// - a tile's block: int16 [pairs][rows][2], then the rows' scales, float32 [rows].
// acc = fma(float(sum of the block's products), weight scale * x scale, acc) over rising blocks.
constexpr std::size_t kPanel = 32;        // outputs of a panel
constexpr std::size_t kMaxTileRows = 12;  // the largest max_rows of all sets
constexpr std::size_t kInt8Block = 64;
constexpr std::size_t kInt8PanelBlock = kInt8Block * kPanel + kPanel * sizeof(bf16);  // bytes
constexpr std::size_t kInt8TileBlock = kInt8Block * 2 + sizeof(float);                // bytes a row

enum class WeightFormat { kBf16, kInt8 };

// Some rows to multiply, packed, and where their products go: out[r * out_stride + c] of row r and
// output c.
struct ProductTile {
  const std::byte* x = nullptr;
  std::size_t rows = 0;
  float* out = nullptr;
  std::size_t out_stride = 0;
};
// Tiles that are multiplied with each panel while it is in the cache: 8 x 12 rows of 2048 bf16 are
// 0.4 MB.
constexpr std::size_t kBlockTiles = 8;

struct ProductKernels {
  WeightFormat format = WeightFormat::kBf16;
  std::size_t max_rows = 0;      // rows of a full tile
  std::size_t element_size = 0;  // bytes of a tile's element: 2 (bf16, int16) or 4 (float32)
  // Pairs or, of int8 weights, blocks of `width` inputs.
  std::size_t depth(std::size_t width) const {
    return format == WeightFormat::kInt8 ? (width + kInt8Block - 1) / kInt8Block : (width + 1) / 2;
  }
  // Bytes that a row of `width` elements takes in a tile.
  std::size_t row_bytes(std::size_t width) const {
    return depth(width) * (format == WeightFormat::kInt8 ? kInt8TileBlock : 2 * element_size);
  }
  // n rows of `width` elements at rows[0..n-1], which may lie unaligned -> tile.
  void (*pack_bf16)(const std::byte* const* rows, std::size_t n, std::size_t width,
                    std::byte* tile) = nullptr;
  void (*pack_float)(const float* const* rows, std::size_t n, std::size_t width,
                     std::byte* tile) = nullptr;
  // The products of at most kBlockTiles tiles with the 32 * count outputs of `count` adjacent
  // panels; `depth` as above. `next`, or null: the panel that is wanted after these; of it as much
  // is fetched into the cache meanwhile as is of each of these before its turn, but for a lone tile
  // of few rows, which reads its panels side by side. A processor's own prefetching does not keep
  // up with tiles of several rows, which read a panel in strides.
  void (*multiply)(std::span<const ProductTile> tiles, const std::byte* panels, std::size_t depth,
                   std::size_t count, const std::byte* next) = nullptr;
  // gate_up [rows][stride], of which 16 gates g, then their 16 ups u -> silu(g) * u, the values
  // first .. first + 15 of h. With bf16 weights h is a tile of that many rows, of values rounded to
  // bf16; with int8 weights it is float32 [rows][width], to be packed when it is whole.
  void (*gate)(const float* gate_up, std::size_t stride, std::size_t rows, std::size_t first,
               std::size_t width, std::byte* h) = nullptr;
  // Multiplies and adds in registers only, `rounds` times, to see how fast the machine can do
  // products of this kind; returns how many multiply-adds that were. Writes 16 floats.
  double (*saturate)(std::size_t rounds, float* out) = nullptr;
  // How many panels a call with a lone tile should get: at most these, and no fewer than those
  // where there are more. At most kBlockTiles.
  std::size_t most_panels = 4, fewest_panels = 1;
};

constexpr std::size_t kMaxQueries = 48;  // of one attention tile
constexpr std::size_t kMaxTiles = 16;    // of one call

// Some queries (heads of rows) that share a key head. `length[i]`, the positions that query i sees,
// never falls with i.
struct AttentionTile {
  std::size_t count = 0;
  const float* q[kMaxQueries];  // [key_dim] each
  float* out[kMaxQueries];      // [value_dim] each
  std::size_t length[kMaxQueries];
  std::size_t key_dim = 0, value_dim = 0;
  const std::byte* keys = nullptr;    // bf16 [key_dim] of position j at keys + j * key_stride
  const std::byte* values = nullptr;  // bf16 [value_dim], likewise
  std::size_t key_stride = 0, value_stride = 0;  // bytes
  float scale = 1;
  bool far = false;  // keys and values come from memory: few queries fetch them ahead
  // Scratch, floats: [count][score_stride] of its own; attention_scratch() that the tiles of a call
  // share.
  float* scratch = nullptr;
  float* columns = nullptr;
  // A multiple of kKeyBlock, at least kKeyBlock more than the largest length.
  std::size_t score_stride = 0;
};
constexpr std::size_t kKeyBlock = 16;  // positions that one step of the scores takes
constexpr std::size_t attention_scratch(std::size_t key_dim, std::size_t value_dim) {
  return (kKeyBlock + 1) * std::max(key_dim, value_dim);
}

struct Kernels {
  ProductKernels rounded;  // x rounded to bf16
  ProductKernels exact;    // x as it is, in float32 (no pack_bf16, no gate)
  ProductKernels int8;     // x and int8 weights by blocks
  void (*rms_norm)(const float* x, const bf16* weight, std::size_t width, double eps,
                   float* y) = nullptr;
  // One head in place: (a, b) = (head[i], head[i + half]) -> (a cos - b sin, b cos + a sin).
  void (*rotate)(float* head, const float* cosine, const float* sine, std::size_t half) = nullptr;
  void (*store)(const float* x, std::byte* rows, std::size_t n) = nullptr;  // rounds to bf16
  // One tile; or several of key heads of one sequence, of one count, all of whose queries see the
  // same positions, at most kMaxTiles and kMaxQueries queries in all: the same bits, for less time
  // where keys and values come from memory.
  void (*attend)(std::span<const AttentionTile> tiles) = nullptr;
  void (*exponential)(const float* x, float* y,
                      std::size_t n) = nullptr;  // the exp of the others, for tests
};

Kernels avx2_kernels();
Kernels avx512_kernels();
Kernels avx512_bf16_kernels();
// Only for sets that isa_available().
Kernels kernels_for(Isa isa);

}  // namespace gracemoe
