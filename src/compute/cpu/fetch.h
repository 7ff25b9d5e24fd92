// Fetching weights into the cache before they are wanted. A pass over a panel fetches as many bytes
// of the panel behind it as it reads itself, evenly over its rounds.
#pragma once
#include <cstddef>
#include <span>

#include "compute/cpu/kernels.h"

namespace gracemoe {

constexpr std::size_t kCacheLine = 64;

struct Ahead {
  const std::byte* at = nullptr;
  std::size_t step = 0;  // bytes a round
};

// `place` bytes into the `size` bytes of `panels`, behind which follows `next`. Where there is
// nothing to fetch: `idle`, in every round again, which costs less than a branch.
inline Ahead ahead_at(const std::byte* panels, std::size_t size, const std::byte* next,
                      std::size_t place, std::size_t step, const std::byte* idle) {
  if (place < size) return {panels + place, step};
  if (next != nullptr) return {next + (place - size), step};
  return {idle, 0};
}

// One round, of at most kBytes. To the second level: the first has no room for them.
template <std::size_t kBytes>
__attribute__((always_inline)) inline void fetch(Ahead& ahead) {
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kBytes; i += kCacheLine) __builtin_prefetch(ahead.at + i, 0, 2);
  ahead.at += ahead.step;
}

// Tiles that take turns on the same panels: use(tile, next), of which the first is to fetch.
template <class Use>
void for_each_tile(std::span<const ProductTile> tiles, const std::byte* next, const Use& use) {
  for (const ProductTile& tile : tiles) use(tile, &tile == tiles.data() ? next : nullptr);
}

}  // namespace gracemoe
