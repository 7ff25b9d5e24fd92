// The oracle: every operation as the loop that its contract states, in float32, one thread. Rows
// and the KV cache are float32 too, so that nothing is rounded between operations.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "compute/backend.h"
#include "compute/checks.h"

namespace gracemoe {
namespace {

// Sixteen partial sums, added up in a fixed order: the compiler may vectorise over them without
// reordering anything, which makes the oracle about 5 times faster than one running sum.
constexpr std::size_t kLanes = 16;

float total(const float (&lane)[kLanes]) {
  float sum = 0;
  for (const float value : lane) sum += value;
  return sum;
}

float dot(const float* a, const float* b, std::size_t n) {
  float lane[kLanes] = {};
  std::size_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lane[j] += a[k + j] * b[k + j];
  }
  for (std::size_t j = 0; k + j < n; ++j) lane[j] += a[k + j] * b[k + j];
  return total(lane);
}

float dot(const float* a, const bf16* b, std::size_t n) {
  float lane[kLanes] = {};
  std::size_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) lane[j] += a[k + j] * to_float(b[k + j]);
  }
  for (std::size_t j = 0; k + j < n; ++j) lane[j] += a[k + j] * to_float(b[k + j]);
  return total(lane);
}

void multiply(const WeightView& weight, const float* x, float* y) {
  const auto in = static_cast<std::size_t>(weight.in);
  for (int o = 0; o < weight.out; ++o) {
    y[o] = dot(x, weight.data.data() + static_cast<std::size_t>(o) * in, in);
  }
}

// A row that may lie unaligned in a receive buffer.
std::vector<float> read_row(const std::byte* rows, std::size_t index, std::size_t width) {
  std::vector<float> row(width);
  std::memcpy(row.data(), rows + index * width * sizeof(float), width * sizeof(float));
  return row;
}

float silu(float x) {
  return x / (1.0F + std::exp(-x));
}

class ReferenceLinear final : public Linear {
 public:
  explicit ReferenceLinear(WeightView weight) : weight_(weight) { check_weight(weight); }
  int out() const override { return weight_.out; }
  int in() const override { return weight_.in; }
  void forward(std::span<const float> x, int rows, std::span<float> y) const override {
    check_linear(*this, x, rows, y);
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
      multiply(weight_, x.data() + row * static_cast<std::size_t>(in()),
               y.data() + row * static_cast<std::size_t>(out()));
    }
  }

 private:
  WeightView weight_;
};

class ReferenceExperts final : public ExpertGroup {
 public:
  explicit ReferenceExperts(std::vector<ExpertWeights> experts) : experts_(std::move(experts)) {
    check_experts(experts_);
  }
  void forward(const GroupedRows& work, std::byte* outputs) const override {
    check_grouped_rows(work, experts_.size());
    for (std::size_t group = 0; group < work.expert.size(); ++group) {
      const auto& expert = experts_[static_cast<std::size_t>(work.expert[group])];
      for (auto entry = work.offsets[group]; entry < work.offsets[group + 1]; ++entry) {
        apply(expert, work, static_cast<std::size_t>(entry), outputs);
      }
    }
  }

 private:
  static void apply(const ExpertWeights& expert, const GroupedRows& work, std::size_t entry,
                    std::byte* outputs) {
    const auto hidden = static_cast<std::size_t>(expert.down.out);
    const auto width = static_cast<std::size_t>(expert.down.in);
    const auto x = read_row(work.rows, static_cast<std::size_t>(work.row_of[entry]), hidden);
    std::vector<float> gate(width), up(width), y(hidden);
    multiply(expert.gate, x.data(), gate.data());
    multiply(expert.up, x.data(), up.data());
    for (std::size_t i = 0; i < width; ++i) gate[i] = silu(gate[i]) * up[i];
    multiply(expert.down, gate.data(), y.data());
    std::memcpy(outputs + entry * hidden * sizeof(float), y.data(), hidden * sizeof(float));
  }

  std::vector<ExpertWeights> experts_;
};

// The part of a position's cached row that belongs to a key head.
std::vector<float> read_head(const std::byte* rows, std::size_t position, int stride, int head,
                             int dim) {
  const std::size_t at = position * static_cast<std::size_t>(stride) +
                         static_cast<std::size_t>(head) * static_cast<std::size_t>(dim);
  return read_row(rows + at * sizeof(float), 0, static_cast<std::size_t>(dim));
}

// One head of one row over the first `length` positions of the cache.
void attend(const float* q, const AttentionSpan& span, const AttentionShape& shape, int kv_head,
            std::size_t length, float* out) {
  const auto key_dim = static_cast<std::size_t>(shape.key_dim);
  const auto value_dim = static_cast<std::size_t>(shape.value_dim);
  std::vector<float> weight(length);
  float largest = -INFINITY;
  for (std::size_t j = 0; j < length; ++j) {
    const auto key = read_head(span.keys, j, shape.key_stride, kv_head, shape.key_dim);
    weight[j] = dot(q, key.data(), key_dim) * shape.scale;
    largest = std::max(largest, weight[j]);
  }
  float sum = 0;
  for (auto& w : weight) sum += w = std::exp(w - largest);
  std::fill_n(out, value_dim, 0.0F);
  for (std::size_t j = 0; j < length; ++j) {
    const auto value = read_head(span.values, j, shape.value_stride, kv_head, shape.value_dim);
    for (std::size_t d = 0; d < value_dim; ++d) out[d] += weight[j] / sum * value[d];
  }
}

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  std::size_t row_element_size() const override { return sizeof(float); }

  std::unique_ptr<Linear> linear(WeightView weight) const override {
    return std::make_unique<ReferenceLinear>(weight);
  }
  std::unique_ptr<Linear> linear_float32(WeightView weight) const override {
    return std::make_unique<ReferenceLinear>(weight);
  }
  std::unique_ptr<ExpertGroup> experts(std::vector<ExpertWeights> experts) const override {
    return std::make_unique<ReferenceExperts>(std::move(experts));
  }

  void rms_norm(std::span<const float> x, std::span<const bf16> weight, double eps,
                std::span<float> y) const override {
    check_rms_norm(x, weight, y);
    const auto width = weight.size();
    for (std::size_t first = 0; first < x.size(); first += width) {
      const float* in = x.data() + first;
      const float mean = dot(in, in, width) / static_cast<float>(width);
      const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(mean) + eps));
      for (std::size_t i = 0; i < width; ++i) y[first + i] = in[i] * scale * to_float(weight[i]);
    }
  }

  void rope(std::span<float> x, int heads, std::span<const std::int32_t> position,
            const Rope& rope) const override {
    check_rope(x, heads, position, rope);
    const std::size_t half = rope.frequencies.size();
    float* head = x.data();
    for (const std::int32_t p : position) {
      for (int h = 0; h < heads; ++h, head += rope.dim()) {
        for (std::size_t i = 0; i < half; ++i) {
          const double angle = p * rope.frequencies[i];
          const auto cosine = static_cast<float>(std::cos(angle) * rope.magnitude);
          const auto sine = static_cast<float>(std::sin(angle) * rope.magnitude);
          const float a = head[i], b = head[i + half];
          head[i] = a * cosine - b * sine;
          head[i + half] = b * cosine + a * sine;
        }
      }
    }
  }

  void store_rows(std::span<const float> x, std::byte* rows) const override {
    if (!x.empty()) std::memcpy(rows, x.data(), x.size_bytes());
  }

  void load_rows(const std::byte* rows, std::span<float> x) const override {
    if (!x.empty()) std::memcpy(x.data(), rows, x.size_bytes());
  }

  void attention(std::span<const float> q, const AttentionShape& shape,
                 std::span<const AttentionSpan> spans, std::span<float> out) const override {
    check_attention(q, shape, spans, out);
    for (const AttentionSpan& span : spans) {
      for (int row = 0; row < span.rows; ++row) {
        const auto length = static_cast<std::size_t>(span.first_position + row) + 1;
        for (int head = 0; head < shape.heads; ++head) {
          const auto at = static_cast<std::size_t>(span.first_row + row) *
                              static_cast<std::size_t>(shape.heads) +
                          static_cast<std::size_t>(head);
          attend(q.data() + at * static_cast<std::size_t>(shape.key_dim), span, shape,
                 head / (shape.heads / shape.kv_heads), length,
                 out.data() + at * static_cast<std::size_t>(shape.value_dim));
        }
      }
    }
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace gracemoe
