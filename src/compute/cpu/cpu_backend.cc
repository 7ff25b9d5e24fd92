#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "compute/backend.h"
#include "compute/checks.h"
#include "compute/cpu/isa.h"
#include "compute/cpu/parallel.h"
#include "compute/cpu/parts.h"

namespace gracemoe {
namespace {

class CpuBackend final : public Backend {
 public:
  CpuBackend(Isa isa, int threads, bool onednn, bool int8, std::shared_ptr<HostMemory> shared)
      : isa_(isa),
        threads_(threads),
        onednn_(onednn),
        int8_(int8),
        kernels_(kernels_for(isa)),
        shared_(std::move(shared)) {}

  std::string name() const override {
    return std::string("cpu (") + isa_name(isa_) + (onednn_ ? ", oneDNN" : "") +
           (int8_ ? ", int8 weights" : "") + ")";
  }
  std::size_t row_element_size() const override { return sizeof(bf16); }

  std::unique_ptr<Linear> linear(WeightView weight) const override {
    if (onednn_) return make_onednn_linear(weight, kernels_, threads_);
    return make_packed_linear(std::move(weight), product(), threads_, shelf_, shared_);
  }
  std::unique_ptr<Linear> linear_float32(WeightView weight) const override {
    return make_packed_linear(std::move(weight), kernels_.exact, threads_, shelf_, shared_);
  }
  std::unique_ptr<ExpertGroup> experts(std::vector<ExpertWeights> experts) const override {
    return make_packed_experts(std::move(experts), product(), kernels_.store, threads_, shelf_,
                               nullptr);
  }
  std::unique_ptr<ExpertGroup> mlp(ExpertWeights weights) const override {
    std::vector<ExpertWeights> one;
    one.push_back(std::move(weights));
    return make_packed_experts(std::move(one), product(), kernels_.store, threads_, shelf_,
                               shared_);
  }

  void rms_norm(std::span<const float> x, std::span<const bf16> weight, double eps,
                std::span<float> y) const override {
    check_rms_norm(x, weight, y);
    const std::size_t width = weight.size();
    for_each_row(x.size() / width, width, [&](std::size_t row) {
      kernels_.rms_norm(x.data() + row * width, weight.data(), width, eps, y.data() + row * width);
    });
  }

  void rope(std::span<float> x, int heads, std::span<const std::int32_t> position,
            const Rope& rope) const override {
    check_rope(x, heads, position, rope);
    if (position.empty()) return;
    const auto width = static_cast<std::size_t>(heads) * rope.dim();
    const auto table = rope_.rows(*std::max_element(position.begin(), position.end()), rope);
    for_each_row(position.size(), width, [&](std::size_t row) {
      rotate_row(x.subspan(row * width, width), position[row], rope, *table);
    });
  }

  void store_rows(std::span<const float> x, std::byte* rows) const override {
    kernels_.store(x.data(), rows, x.size());
  }

  void load_rows(const std::byte* rows, std::span<float> x) const override {
    for (std::size_t i = 0; i < x.size(); ++i) {
      bf16 value;
      std::memcpy(&value, rows + i * sizeof(bf16), sizeof(bf16));
      x[i] = to_float(value);
    }
  }

  void attention(std::span<const float> q, const AttentionShape& shape,
                 std::span<const AttentionSpan> spans, std::span<float> out) const override {
    check_attention(q, shape, spans, out);
    packed_attention(kernels_, threads_, shape, q, spans, out);
  }

 private:
  const ProductKernels& product() const { return int8_ ? kernels_.int8 : kernels_.rounded; }

  template <class Body>
  void for_each_row(std::size_t rows, std::size_t width, const Body& body) const {
    constexpr std::size_t kRows = 16;  // an item's, to spread the cost of handing it out
    const auto work = static_cast<double>(rows) * static_cast<double>(width) * 4;
    parallel_for(threads_, (rows + kRows - 1) / kRows, work, [&](std::size_t i, int) {
      for (std::size_t row = i * kRows; row < std::min(rows, (i + 1) * kRows); ++row) body(row);
    });
  }

  void rotate_row(std::span<float> row, std::int32_t position, const Rope& rope,
                  const RopeTable::Rows& table) const {
    const std::size_t half = rope.frequencies.size();
    const std::size_t dim = rope.dim();
    RopeTable::Rows own;
    const float* angles = table.data() + static_cast<std::size_t>(position) * dim;
    if (position >= RopeTable::kKept) {
      own.resize(dim);
      RopeTable::fill(position, rope, own.data());
      angles = own.data();
    }
    for (std::size_t h = 0; h < row.size(); h += dim) {
      kernels_.rotate(row.data() + h, angles, angles + half, half);
    }
  }

  Isa isa_;
  int threads_;
  bool onednn_, int8_;
  Kernels kernels_;
  std::shared_ptr<BufferShelf> shelf_ = std::make_shared<BufferShelf>();
  std::shared_ptr<HostMemory> shared_;
  RopeTable rope_;
};

}  // namespace

void check_cpu_options(const CpuOptions& options) {
  if (options.threads < 1)
    fail_usage({"threads of the cpu backend", std::to_string(options.threads), "at least 1",
                "give a larger number of threads"});
  const bool onednn = options.dense == "onednn";
  if (!onednn && options.dense != "packed")
    fail_usage({"dense products of the cpu backend", "'" + options.dense + "'", "packed or onednn",
                "choose one of the two"});
  const bool int8 = options.weights == "int8";
  if (!int8 && options.weights != "bf16")
    fail_usage({"weights of the cpu backend", "'" + options.weights + "'", "bf16 or int8",
                "choose one of the two"});
  if (int8 && onednn)
    fail_usage(
        {"dense products by oneDNN", "int8 weights", "bf16 weights", "use the packed products"});
  if (choose_isa(options.isa) == Isa::kAvx2 && onednn)
    fail_usage({"dense products by oneDNN", "avx2",
                "a processor with AVX-512, below which oneDNN has no fast bf16 products",
                "use the packed products"});
}

std::unique_ptr<Backend> make_cpu_backend(const CpuOptions& options) {
  check_cpu_options(options);
  return std::make_unique<CpuBackend>(choose_isa(options.isa), options.threads,
                                      options.dense == "onednn", options.weights == "int8",
                                      options.shared);
}

std::size_t stored_bytes(const CpuOptions& options, int out, int in) {
  const auto rows = static_cast<std::size_t>(out), width = static_cast<std::size_t>(in);
  if (options.weights != "int8") return rows * width * sizeof(bf16);
  return rows * (width + (width + kInt8Block - 1) / kInt8Block * sizeof(bf16));
}

}  // namespace gracemoe
