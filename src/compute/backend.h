// The operations of a transformer, as contracts; ref/ implements them as plain float32 loops
// (always built, the oracle of the tests), cpu/ with bf16 products by SIMD kernels chosen at run
// time (x86-64).
//
// Activations are float32, row-major, [rows, width]. Weights are bf16 [out, in] row-major as in the
// checkpoint; what is made of them may keep the view and its owner (ref/ does, cpu/ packs a copy):
// weights without an owner must outlive it. Any sizes; no alignment is asked for. The law of the
// house: a row's result never depends on which other rows are computed with it, where it stands
// among them, nor on the number of threads. Bit for bit. (It may differ between backends and
// instruction sets.) NaN and infinity are never hidden. A broken contract is Error kInternal;
// everything const may be called by several threads at once. Nothing here is collective.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bf16.h"
#include "compute/host_memory.h"
#include "compute/rope.h"

namespace gracemoe {

// A bf16 weight matrix [out, in], row-major.
struct WeightView {
  std::span<const bf16> data;
  int out = 0;
  int in = 0;
  // Keeps `data`; whoever is done with it drops this, so that the memory can go. Null: the caller
  // keeps it.
  std::shared_ptr<const void> owner = nullptr;
};

class Linear {
 public:
  virtual ~Linear() = default;
  virtual int out() const = 0;
  virtual int in() const = 0;
  // y [rows, out] = x [rows, in] * W^T, accumulated in float32; x and y must not overlap. rows may
  // be 0.
  virtual void forward(std::span<const float> x, int rows, std::span<float> y) const = 0;
};

struct ExpertWeights {
  WeightView gate, up;  // [width, hidden]
  WeightView down;      // [hidden, width]
};

// The entries of a grouped expert computation: entries of group i (local expert `expert[i]`, an
// index into the group's experts) are offsets[i] .. offsets[i+1]-1; entry e reads row row_of[e].
// Groups may be empty, an expert may have several, and a row may be read by any number of entries.
// No groups at all: everything empty.
struct GroupedRows {
  const std::byte* rows = nullptr;  // [rows, hidden] in the backend's row element type
  std::span<const std::int32_t> expert;
  std::span<const std::int32_t> offsets;
  std::span<const std::int32_t> row_of;
  // [rows] where each row lies, if they do not lie together: `rows` is not used then.
  std::span<const std::byte* const> row_at{};

  const std::byte* row(std::size_t entry, std::size_t row_bytes) const {
    const auto r = static_cast<std::size_t>(row_of[entry]);
    return row_at.empty() ? rows + r * row_bytes : row_at[r];
  }
};

// The experts of one layer that live on this device.
class ExpertGroup {
 public:
  virtual ~ExpertGroup() = default;
  // outputs [entries, hidden] in the row element type (cpu: rounded to bf16), for every entry
  // down(silu(gate(x)) * up(x)); cpu rounds silu(gate) * up to bf16 as well. rows and outputs must
  // not overlap.
  virtual void forward(const GroupedRows& work, std::byte* outputs) const = 0;
};

// Some rows of one sequence that attend to its cache, which holds their own positions already.
struct AttentionSpan {
  int first_row = 0;  // of q and out
  int rows = 0;
  int first_position = 0;  // of the first row; row i sees cache positions 0 .. first_position + i
  const std::byte* keys = nullptr;    // [positions, key_stride] in the cache element type
  const std::byte* values = nullptr;  // [positions, value_stride]
};

// Which part of a position's cached rows a query head reads. Head h belongs to key head
// g = h / (heads / kv_heads): its keys are elements g * key_dim .. of the key row, its values
// elements g * value_dim .. of the value row. The two rows may be one (a compressed cache, whose
// values are the first part of its keys).
struct AttentionShape {
  int heads = 0, kv_heads = 0;
  int key_dim = 0, value_dim = 0;
  int key_stride = 0, value_stride = 0;  // elements from a position's row to the next
  float scale = 1;                       // of q . key
};
// heads and kv_heads of head_dim each, in rows of their own; scores by 1 / sqrt(head_dim).
AttentionShape grouped_query_shape(int heads, int kv_heads, int head_dim);

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "reference", "cpu (avx512)"
  // Bytes an element of exchanged rows and of the KV cache: 4 (ref: float32) or 2 (cpu: bf16).
  virtual std::size_t row_element_size() const = 0;
  virtual std::unique_ptr<Linear> linear(WeightView weight) const = 0;
  // As linear, but x is not rounded: float32 x against bf16 weights widened (for the router, whose
  // choices must be sharp).
  virtual std::unique_ptr<Linear> linear_float32(WeightView weight) const = 0;
  virtual std::unique_ptr<ExpertGroup> experts(std::vector<ExpertWeights> experts) const = 0;
  // A group of one that every device holds: shared experts, or a dense layer.
  virtual std::unique_ptr<ExpertGroup> mlp(ExpertWeights weights) const {
    std::vector<ExpertWeights> one;
    one.push_back(std::move(weights));
    return experts(std::move(one));
  }
  // y = x / sqrt(mean(x^2) + eps) * weight, per row of `width`; x and y may be the same.
  virtual void rms_norm(std::span<const float> x, std::span<const bf16> weight, double eps,
                        std::span<float> y) const = 0;
  // Rotates in place: x [rows, heads * dim], pairs (i, i + dim / 2) of every head by the angle
  // position[row] * frequencies[i], dim = rope.dim().
  virtual void rope(std::span<float> x, int heads, std::span<const std::int32_t> position,
                    const Rope& rope) const = 0;
  // float32 [n] -> row elements [n] (cpu: rounded to bf16).
  virtual void store_rows(std::span<const float> x, std::byte* rows) const = 0;
  // row elements [n] -> float32 [n], exactly.
  virtual void load_rows(const std::byte* rows, std::span<float> x) const = 0;
  // out [rows, heads * value_dim] = softmax(scale * q . keys) . values, causal; q [rows, heads *
  // key_dim]. Rows of out that no span names stay as they are; spans name a row at most once. What
  // lies at positions that a row does not see never reaches it.
  virtual void attention(std::span<const float> q, const AttentionShape& shape,
                         std::span<const AttentionSpan> spans, std::span<float> out) const = 0;
};

std::unique_ptr<Backend> make_reference_backend();

struct CpuOptions {
  int threads = 1;  // of each call; work below about 10 us stays on the caller's thread
  // "": the fastest for this processor (cpu/isa.h says which and why); "avx2", "avx512",
  // "avx512-bf16": forced. "avx2" and "avx512" give the same bits.
  std::string isa;
  // Dense products: "packed", our own kernels, or "onednn" (Error kUsage below AVX-512). Both keep
  // the law; their bits differ.
  std::string dense = "packed";
  // Where linear(), linear_float32() and mlp() put their packed weights; null: memory of their own.
  // All members make the same ones in the same order, and meet before any is used.
  std::shared_ptr<HostMemory> shared = nullptr;
  // What linear() and experts() keep: "bf16", the checkpoint's own, or "int8", a scale for every 64
  // inputs of an output, half the memory (docs/numerics.md says what is lost; not with onednn). All
  // instruction sets give the same bits with int8 weights.
  std::string weights = "bf16";
};
// Bytes that a weight matrix takes in memory, padding to the kernels' sizes left out.
std::size_t stored_bytes(const CpuOptions& options, int out, int in);

// Errors (kUsage): threads below 1, an unknown instruction set, one that this machine lacks, or
// none at all; unknown weights or dense products, or two of them that do not go together.
void check_cpu_options(const CpuOptions& options);
// Errors as check_cpu_options.
std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options);

}  // namespace gracemoe
