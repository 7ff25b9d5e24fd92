// Dense products by oneDNN, on request (CpuOptions::dense); packed_linear.cc says why it is not the
// default. oneDNN chooses its blocking by the number of rows and promises nothing about the order
// of its sums, so it only ever gets blocks of exactly kBlockRows rows, the last one filled up:
// every row goes through the same primitive, whatever its batch. tests/compute holds it to the row
// law.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>

#include "base/error.h"
#include "compute/checks.h"
#include "compute/cpu/parts.h"

namespace gracemoe {
namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

constexpr int kBlockRows = 32;  // fewer cost oneDNN a fifth of its speed, more cost decode its own

class OneDnnLinear final : public Linear {
 public:
  OneDnnLinear(WeightView weight, const Kernels& kernels, int threads)
      : kernels_(kernels),
        threads_(threads),
        out_(weight.out),
        in_(weight.in),
        source_desc_({kBlockRows, in_}, Type::bf16, Tag::ab),
        chosen_({source_desc_,
                 {{in_, out_}, Type::bf16, Tag::any},
                 {{kBlockRows, out_}, Type::f32, Tag::ab}},
                engine_),
        product_(chosen_),
        weights_(chosen_.weights_desc(), engine_) {
    memory given({{in_, out_}, Type::bf16, Tag::ba}, engine_,
                 const_cast<bf16*>(weight.data.data()));
    dnnl::stream stream(engine_);
    dnnl::reorder(given, weights_).execute(stream, given, weights_);
    stream.wait();
  }
  int out() const override { return static_cast<int>(out_); }
  int in() const override { return static_cast<int>(in_); }

  void forward(std::span<const float> x, int rows, std::span<float> y) const override {
    check_linear(*this, x, rows, y);
    omp_set_num_threads(threads_);
    const auto in = static_cast<std::size_t>(in_);
    const auto out = static_cast<std::size_t>(out_);
    std::vector<bf16> rounded(kBlockRows * in);
    std::vector<float> result(kBlockRows * out);
    dnnl::stream stream(engine_);
    memory source(source_desc_, engine_, rounded.data());
    memory target(chosen_.dst_desc(), engine_, result.data());
    for (std::size_t first = 0; first < static_cast<std::size_t>(rows); first += kBlockRows) {
      const std::size_t count =
          std::min<std::size_t>(kBlockRows, static_cast<std::size_t>(rows) - first);
      kernels_.store(x.data() + first * in, reinterpret_cast<std::byte*>(rounded.data()),
                     count * in);
      product_.execute(
          stream, {{DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, target}});
      stream.wait();
      std::copy_n(result.begin(), count * out,
                  y.begin() + static_cast<std::ptrdiff_t>(first * out));
    }
  }

 private:
  Kernels kernels_;
  int threads_;
  memory::dim out_, in_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  memory::desc source_desc_;
  dnnl::matmul::primitive_desc chosen_;
  dnnl::matmul product_;
  memory weights_;
};

}  // namespace

std::unique_ptr<Linear> make_onednn_linear(WeightView weight, const Kernels& kernels, int threads) {
  return std::make_unique<OneDnnLinear>(weight, kernels, threads);
}

}  // namespace gracemoe
