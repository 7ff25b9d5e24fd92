#include <algorithm>
#include <array>

#include "compute/cpu/buffer.h"
#include "compute/cpu/parallel.h"
#include "compute/cpu/parts.h"

namespace gracemoe {
namespace {

// Scores of one tile: 256 KB of float32, about a quarter of a core's second-level cache. Longer
// contexts take fewer queries at once.
constexpr std::size_t kScores = std::size_t{1} << 16;

// Keys and values of a call, beyond which they are taken to come from memory.
constexpr std::size_t kFar = std::size_t{1} << 21;

// Queries first .. first + count - 1 of each of some key heads of a span; query i is row i / group,
// head i % group of the key head's.
struct Unit {
  const AttentionSpan* span = nullptr;
  std::size_t kv_head = 0, kv_heads = 1;
  std::size_t first = 0, count = 0;
};

std::size_t round_up(std::size_t n) {
  return (n + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
}

std::size_t positions(const AttentionSpan& span) {
  return static_cast<std::size_t>(span.first_position) + static_cast<std::size_t>(span.rows);
}

// Of the keys and values that a span's rows see; those that are parts of the keys count twice.
std::size_t cache_bytes(const AttentionSpan& span, const AttentionShape& shape) {
  const auto elements =
      static_cast<std::size_t>(shape.key_stride) + static_cast<std::size_t>(shape.value_stride);
  return positions(span) * elements * sizeof(bf16);
}

// An odd number of kKeyBlocks, so that rows of scores do not fall on the same lines of a cache.
std::size_t score_stride(std::size_t length) {
  return (round_up(length) + kKeyBlock) | kKeyBlock;
}

std::size_t queries_a_tile(const AttentionSpan& span) {
  return std::clamp<std::size_t>(kScores / score_stride(positions(span)), 1, kMaxQueries);
}

// Key heads that a lone row's unit takes together: all, unless their scores would not fit, or
// threads would have too few units.
std::size_t heads_a_unit(const AttentionSpan& span, std::size_t spans, const AttentionShape& shape,
                         std::size_t threads) {
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  if (span.rows != 1) return 1;
  const std::size_t group = static_cast<std::size_t>(shape.heads) / heads;
  const std::size_t fitting = queries_a_tile(span) / group;
  const std::size_t even = threads == 1 ? heads : heads * spans / (2 * threads);
  return std::max<std::size_t>(std::min({heads, fitting, even, kMaxTiles}), 1);
}

std::vector<Unit> cut_units(std::span<const AttentionSpan> spans, const AttentionShape& shape,
                            int threads) {
  std::vector<Unit> units;
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t group = static_cast<std::size_t>(shape.heads) / heads;
  for (const AttentionSpan& span : spans) {
    const std::size_t queries = static_cast<std::size_t>(span.rows) * group;
    if (queries == 0) continue;
    std::size_t step = queries_a_tile(span);
    if (step > 6) step -= step % 6;  // whole groups, as AVX2's kernel takes them
    // Small tiles where threads would have too few.
    const std::size_t units_a_head = (queries + step - 1) / step;
    if (units_a_head * heads * spans.size() < 4 * static_cast<std::size_t>(threads) &&
        threads > 1) {
      step = std::min<std::size_t>(step, 12);
    }
    const std::size_t together =
        heads_a_unit(span, spans.size(), shape, static_cast<std::size_t>(threads));
    for (std::size_t head = 0; head < heads; head += together) {
      for (std::size_t first = 0; first < queries; first += step) {
        units.push_back({&span, head, std::min(together, heads - head), first,
                         std::min(step, queries - first)});
      }
    }
  }
  return units;
}

AttentionTile make_tile(const Unit& unit, std::size_t kv_head, const AttentionShape& shape,
                        bool far, const float* q, float* out) {
  const AttentionSpan& span = *unit.span;
  const auto heads = static_cast<std::size_t>(shape.heads);
  const std::size_t group = heads / static_cast<std::size_t>(shape.kv_heads);
  AttentionTile tile;
  tile.count = unit.count;
  tile.key_dim = static_cast<std::size_t>(shape.key_dim);
  tile.value_dim = static_cast<std::size_t>(shape.value_dim);
  tile.key_stride = static_cast<std::size_t>(shape.key_stride) * sizeof(bf16);
  tile.value_stride = static_cast<std::size_t>(shape.value_stride) * sizeof(bf16);
  tile.keys = span.keys + kv_head * tile.key_dim * sizeof(bf16);
  tile.values = span.values + kv_head * tile.value_dim * sizeof(bf16);
  tile.scale = shape.scale;
  tile.far = far;
  for (std::size_t i = 0; i < unit.count; ++i) {
    const std::size_t row = (unit.first + i) / group;
    const std::size_t head = kv_head * group + (unit.first + i) % group;
    const std::size_t at = (static_cast<std::size_t>(span.first_row) + row) * heads + head;
    tile.q[i] = q + at * tile.key_dim;
    tile.out[i] = out + at * tile.value_dim;
    tile.length[i] = static_cast<std::size_t>(span.first_position) + row + 1;
  }
  tile.score_stride = score_stride(tile.length[unit.count - 1]);
  return tile;
}

}  // namespace

void packed_attention(const Kernels& kernels, int threads, const AttentionShape& shape,
                      std::span<const float> q, std::span<const AttentionSpan> spans,
                      std::span<float> out) {
  const auto units = cut_units(spans, shape, threads);
  std::size_t scores = 0, bytes = 0;
  double work = 0;
  for (const AttentionSpan& span : spans) {
    const std::size_t length = score_stride(positions(span));
    scores = std::max(scores, queries_a_tile(span) * length);
    bytes += cache_bytes(span, shape);
    work +=
        static_cast<double>(length) * shape.heads * (shape.key_dim + shape.value_dim) * span.rows;
  }
  const std::size_t scratch =
      round_up(scores + attention_scratch(static_cast<std::size_t>(shape.key_dim),
                                          static_cast<std::size_t>(shape.value_dim)));
  const Buffer memory(static_cast<std::size_t>(threads) * scratch * sizeof(float));
  parallel_for(threads, units.size(), work, [&](std::size_t i, int slot) {
    float* mine =
        reinterpret_cast<float*>(memory.data()) + static_cast<std::size_t>(slot) * scratch;
    std::array<AttentionTile, kMaxTiles> tiles;
    for (std::size_t t = 0; t < units[i].kv_heads; ++t) {
      tiles[t] =
          make_tile(units[i], units[i].kv_head + t, shape, bytes > kFar, q.data(), out.data());
      tiles[t].scratch = mine + t * tiles[t].count * tiles[t].score_stride;
      tiles[t].columns = mine + scores;
    }
    kernels.attend({tiles.data(), units[i].kv_heads});
  });
}

}  // namespace gracemoe
