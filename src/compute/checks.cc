#include "compute/checks.h"

#include "base/error.h"

namespace gracemoe {
namespace {

std::size_t product(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

bool same_shape(const WeightView& a, const WeightView& b) {
  return a.out == b.out && a.in == b.in;
}

}  // namespace

void check_weight(const WeightView& weight) {
  GM_CHECK(weight.out > 0 && weight.in > 0, "a weight matrix without rows or columns");
  GM_CHECK(weight.data.size() == product(weight.out, weight.in),
           "a weight matrix whose data is not [out, in]");
}

void check_experts(std::span<const ExpertWeights> experts) {
  for (const ExpertWeights& expert : experts) {
    check_weight(expert.gate);
    check_weight(expert.up);
    check_weight(expert.down);
    GM_CHECK(same_shape(expert.gate, expert.up), "an expert whose gate and up differ in shape");
    GM_CHECK(expert.gate.out == expert.down.in && expert.gate.in == expert.down.out,
             "an expert whose down is not [hidden, width]");
    GM_CHECK(same_shape(expert.gate, experts[0].gate), "experts of one group differ in shape");
  }
}

void check_linear(const Linear& linear, std::span<const float> x, int rows, std::span<float> y) {
  GM_CHECK(rows >= 0, "a negative number of rows");
  GM_CHECK(x.size() == product(rows, linear.in()), "a product whose x is not [rows, in]");
  GM_CHECK(y.size() == product(rows, linear.out()), "a product whose y is not [rows, out]");
}

void check_grouped_rows(const GroupedRows& work, std::size_t experts) {
  if (work.expert.empty() && work.offsets.empty() && work.row_of.empty()) return;
  GM_CHECK(work.offsets.size() == work.expert.size() + 1,
           "grouped rows need one offset more than groups");
  GM_CHECK(work.offsets.front() == 0, "grouped rows whose offsets do not start at 0");
  for (std::size_t group = 0; group < work.expert.size(); ++group) {
    GM_CHECK(work.expert[group] >= 0 && static_cast<std::size_t>(work.expert[group]) < experts,
             "grouped rows that name an expert outside the group");
    GM_CHECK(work.offsets[group] <= work.offsets[group + 1], "grouped rows whose offsets fall");
  }
  GM_CHECK(static_cast<std::size_t>(work.offsets.back()) == work.row_of.size(),
           "grouped rows whose last offset is not the number of entries");
  for (const std::int32_t row : work.row_of) GM_CHECK(row >= 0, "grouped rows with a negative row");
}

void check_rms_norm(std::span<const float> x, std::span<const bf16> weight, std::span<float> y) {
  GM_CHECK(!weight.empty() && x.size() % weight.size() == 0, "a norm whose x is not [rows, width]");
  GM_CHECK(x.size() == y.size(), "a norm whose y is not of x's shape");
}

void check_rope(std::span<const float> x, int heads, std::span<const std::int32_t> position,
                const Rope& rope) {
  GM_CHECK(heads > 0 && !rope.frequencies.empty(), "rope needs heads and frequencies");
  GM_CHECK(x.size() == position.size() * static_cast<std::size_t>(heads) * rope.dim(),
           "rope whose x is not [rows, heads * dim]");
  for (const std::int32_t p : position) GM_CHECK(p >= 0, "rope at a negative position");
}

void check_attention(std::span<const float> q, const AttentionShape& shape,
                     std::span<const AttentionSpan> spans, std::span<const float> out) {
  GM_CHECK(shape.heads > 0 && shape.kv_heads > 0 && shape.key_dim > 0 && shape.value_dim > 0,
           "attention without heads");
  GM_CHECK(shape.heads % shape.kv_heads == 0, "attention whose heads are no multiple of kv_heads");
  GM_CHECK(shape.key_stride >= shape.kv_heads * shape.key_dim &&
               shape.value_stride >= shape.kv_heads * shape.value_dim,
           "attention whose cached rows overlap");
  const auto width = product(shape.heads, shape.key_dim);
  const auto rows = q.size() / width;
  GM_CHECK(q.size() % width == 0 && out.size() == rows * product(shape.heads, shape.value_dim),
           "attention whose q and out are not [rows, heads * dim]");
  for (const AttentionSpan& span : spans) {
    GM_CHECK(span.first_row >= 0 && span.rows >= 0 && span.first_position >= 0,
             "an attention span with a negative field");
    GM_CHECK(static_cast<std::size_t>(span.first_row) + static_cast<std::size_t>(span.rows) <= rows,
             "an attention span outside q");
  }
}

}  // namespace gracemoe
