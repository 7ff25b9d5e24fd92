#include "onednn_product.h"

#include <omp.h>

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

namespace gracemoe {
namespace {

using dnnl::memory;
using Type = memory::data_type;
using Tag = memory::format_tag;

class Product {
 public:
  Product(WeightView weight, std::span<const float> x, int rows, std::span<float> y)
      : x_(x),
        rounded_(x.size()),
        from_({rows, weight.in}, Type::bf16, Tag::ab),
        chosen_({from_,
                 {{weight.in, weight.out}, Type::bf16, Tag::any},
                 {{rows, weight.out}, Type::f32, Tag::ab}},
                engine_),
        product_(chosen_),
        source_(from_, engine_, rounded_.data()),
        weights_(chosen_.weights_desc(), engine_),
        target_(chosen_.dst_desc(), engine_, y.data()) {
    memory given({{weight.in, weight.out}, Type::bf16, Tag::ba}, engine_,
                 const_cast<bf16*>(weight.data.data()));
    dnnl::reorder(given, weights_).execute(stream_, given, weights_);
    stream_.wait();
  }

  void run() {
    backend_->store_rows(x_, reinterpret_cast<std::byte*>(rounded_.data()));
    product_.execute(
        stream_, {{DNNL_ARG_SRC, source_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, target_}});
    stream_.wait();
  }

 private:
  std::unique_ptr<Backend> backend_ = make_cpu_backend({});
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::span<const float> x_;
  std::vector<bf16> rounded_;
  memory::desc from_;
  dnnl::matmul::primitive_desc chosen_;
  dnnl::matmul product_;
  memory source_, weights_, target_;
};

}  // namespace

std::function<void()> onednn_product(WeightView weight, std::span<const float> x, int rows,
                                     std::span<float> y) {
  omp_set_num_threads(1);
  const auto product = std::make_shared<Product>(weight, x, rows, y);
  return [product] { product->run(); };
}

}  // namespace gracemoe
