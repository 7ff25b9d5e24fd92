#include "compute/counting_backend.h"

#include <utility>

namespace gracemoe {
namespace {

class CountingLinear final : public Linear {
 public:
  CountingLinear(std::unique_ptr<Linear> inner, std::size_t bytes, WorkCount& count)
      : inner_(std::move(inner)), bytes_(static_cast<double>(bytes)), count_(count) {}
  int out() const override { return inner_->out(); }
  int in() const override { return inner_->in(); }
  void forward(std::span<const float> x, int rows, std::span<float> y) const override {
    if (rows > 0) count_.weight_bytes += bytes_;
    count_.flops += 2.0 * rows * out() * in();
    inner_->forward(x, rows, y);
  }

 private:
  std::unique_ptr<Linear> inner_;
  double bytes_;
  WorkCount& count_;
};

class CountingExperts final : public ExpertGroup {
 public:
  CountingExperts(std::unique_ptr<ExpertGroup> inner, double bytes, double flops, WorkCount& count)
      : inner_(std::move(inner)), bytes_(bytes), flops_(flops), count_(count) {}
  void forward(const GroupedRows& work, std::byte* outputs) const override {
    for (std::size_t group = 0; group + 1 < work.offsets.size(); ++group)
      if (work.offsets[group] < work.offsets[group + 1]) count_.weight_bytes += bytes_;
    count_.flops += flops_ * static_cast<double>(work.row_of.size());
    inner_->forward(work, outputs);
  }

 private:
  std::unique_ptr<ExpertGroup> inner_;
  double bytes_, flops_;  // of one expert, of one entry
  WorkCount& count_;
};

class CountingBackend final : public Backend {
 public:
  CountingBackend(const Backend& inner, CpuOptions options, WorkCount& count)
      : inner_(inner), options_(std::move(options)), count_(count) {}
  std::string name() const override { return inner_.name(); }
  std::size_t row_element_size() const override { return inner_.row_element_size(); }

  std::unique_ptr<Linear> linear(WeightView weight) const override {
    const std::size_t bytes = stored_bytes(options_, weight.out, weight.in);
    return std::make_unique<CountingLinear>(inner_.linear(weight), bytes, count_);
  }
  std::unique_ptr<Linear> linear_float32(WeightView weight) const override {
    const std::size_t bytes = weight.data.size_bytes();
    return std::make_unique<CountingLinear>(inner_.linear_float32(weight), bytes, count_);
  }
  std::unique_ptr<ExpertGroup> experts(std::vector<ExpertWeights> experts) const override {
    double bytes = 0, flops = 0;
    if (!experts.empty()) {
      for (const WeightView& w : {experts[0].gate, experts[0].up, experts[0].down}) {
        bytes += static_cast<double>(stored_bytes(options_, w.out, w.in));
        flops += 2.0 * w.out * w.in;
      }
    }
    return std::make_unique<CountingExperts>(inner_.experts(std::move(experts)), bytes, flops,
                                             count_);
  }

  void rms_norm(std::span<const float> x, std::span<const bf16> weight, double eps,
                std::span<float> y) const override {
    inner_.rms_norm(x, weight, eps, y);
  }
  void rope(std::span<float> x, int heads, std::span<const std::int32_t> position,
            const Rope& rope) const override {
    inner_.rope(x, heads, position, rope);
  }
  void store_rows(std::span<const float> x, std::byte* rows) const override {
    inner_.store_rows(x, rows);
  }
  void load_rows(const std::byte* rows, std::span<float> x) const override {
    inner_.load_rows(rows, x);
  }
  void attention(std::span<const float> q, const AttentionShape& shape,
                 std::span<const AttentionSpan> spans, std::span<float> out) const override {
    for (const AttentionSpan& span : spans) {
      const double seen = span.first_position + span.rows;
      const double pairs = span.rows * (span.first_position + (span.rows + 1) / 2.0);
      const int values = span.keys == span.values ? 0 : shape.value_dim;  // one row serves for both
      count_.cache_bytes += seen * shape.kv_heads * (shape.key_dim + values) *
                            static_cast<double>(row_element_size());
      count_.flops += 2 * pairs * shape.heads * (shape.key_dim + shape.value_dim);
    }
    inner_.attention(q, shape, spans, out);
  }

 private:
  const Backend& inner_;
  CpuOptions options_;
  WorkCount& count_;
};

}  // namespace

std::unique_ptr<Backend> make_counting_backend(const Backend& inner, const CpuOptions& options,
                                               WorkCount& count) {
  return std::make_unique<CountingBackend>(inner, options, count);
}

}  // namespace gracemoe
