// The pieces that cpu_backend.cc puts together.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "compute/cpu/buffer.h"
#include "compute/cpu/kernels.h"

namespace gracemoe {

// A product by our own kernels; `kernels` is Kernels::rounded, exact or int8. Rows are packed into
// buffers of the shelf.
std::unique_ptr<Linear> make_packed_linear(WeightView weight, const ProductKernels& kernels,
                                           int threads, const std::shared_ptr<BufferShelf>& shelf,
                                           const std::shared_ptr<HostMemory>& shared);

// The same by oneDNN, x rounded to bf16 by `kernels`. Needs a processor on which oneDNN has bf16
// products.
std::unique_ptr<Linear> make_onednn_linear(WeightView weight, const Kernels& kernels, int threads);

using RowStore = void (*)(const float* x, std::byte* rows, std::size_t n);  // Kernels::store
// `product` is Kernels::rounded or int8. Packs expert by expert, and drops each one's weights when
// it is packed.
std::unique_ptr<ExpertGroup> make_packed_experts(std::vector<ExpertWeights> experts,
                                                 const ProductKernels& product, RowStore store,
                                                 int threads,
                                                 const std::shared_ptr<BufferShelf>& shelf,
                                                 const std::shared_ptr<HostMemory>& shared);

void packed_attention(const Kernels& kernels, int threads, const AttentionShape& shape,
                      std::span<const float> q, std::span<const AttentionSpan> spans,
                      std::span<float> out);

// Cosines and sines of rotary positions, computed once in double precision; grows with the largest
// position seen. May be used by several threads.
class RopeTable {
 public:
  // Positions from here on are computed anew each time (2 us a row, little beside attention over
  // such a context); the ones before, of a 128-wide head, take 8 MiB.
  static constexpr std::int32_t kKept = 1 << 14;
  // [position][half] cosines followed by [half] sines.
  using Rows = std::vector<float>;
  // A table with at least the positions 0 .. min(largest, kKept - 1).
  std::shared_ptr<const Rows> rows(std::int32_t largest, const Rope& rope) const;
  // One position into row [2 * half].
  static void fill(std::int32_t position, const Rope& rope, float* row);

 private:
  struct Table {
    Rope rope;
    std::shared_ptr<const Rows> rows;
  };
  mutable std::mutex mutex_;
  mutable std::vector<Table> tables_;  // one a Rope: a model has one
};

}  // namespace gracemoe
