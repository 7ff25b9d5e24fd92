#include "engine/mlp.h"

#include <array>
#include <numeric>

namespace gracemoe {
namespace {

class DenseBlock final : public FeedForwardBlock {
 public:
  DenseBlock(std::unique_ptr<Mlp> mlp, const Backend& backend)
      : mlp_(std::move(mlp)), backend_(backend) {}
  void forward(const StepBatch& batch, std::span<const float>, std::span<const float> x,
               std::span<float> out) override {
    const ScopedSpan span(batch.profile, "mlp");
    rows_.resize(x.size() * backend_.row_element_size());
    backend_.store_rows(x, rows_.data());
    mlp_->forward(backend_, rows_, out);
  }

 private:
  std::unique_ptr<Mlp> mlp_;
  const Backend& backend_;
  std::vector<std::byte> rows_;
};

}  // namespace

void Mlp::forward(const Backend& backend, std::span<const std::byte> rows, std::span<float> out) {
  const std::size_t count = out.size() / hidden_;
  if (count == 0) return;
  row_of_.resize(count);
  std::iota(row_of_.begin(), row_of_.end(), 0);
  outputs_.resize(rows.size());
  const std::array<std::int32_t, 1> expert{0};
  const std::array<std::int32_t, 2> offsets{0, static_cast<std::int32_t>(count)};
  expert_->forward({rows.data(), expert, offsets, row_of_}, outputs_.data());
  backend.load_rows(outputs_.data(), out);
}

std::unique_ptr<FeedForwardBlock> make_dense_block(std::unique_ptr<Mlp> mlp,
                                                   const Backend& backend) {
  return std::make_unique<DenseBlock>(std::move(mlp), backend);
}

}  // namespace gracemoe
