#include "engine/latent_attention.h"

#include <algorithm>

#include "base/error.h"

namespace gracemoe {
namespace {

// A part of every row: `width` values from `first` on, rows `stride` apart.
struct Columns {
  std::size_t first = 0, width = 0, stride = 0;
};

void copy_columns(std::span<const float> from, Columns f, std::span<float> to, Columns t,
                  std::size_t rows) {
  for (std::size_t row = 0; row < rows; ++row)
    std::copy_n(from.data() + row * f.stride + f.first, f.width,
                to.data() + row * t.stride + t.first);
}

class LatentAttention final : public AttentionBlock {
 public:
  LatentAttention(const LatentAttentionOptions& options, LatentAttentionWeights weights,
                  const Backend& backend)
      : options_(options),
        weights_(std::move(weights)),
        backend_(backend),
        heads_(static_cast<std::size_t>(options.heads)),
        rank_(static_cast<std::size_t>(options.dims.kv_rank)),
        rope_(static_cast<std::size_t>(options.dims.rope_dim)) {
    const int width = options.dims.kv_rank + options.dims.rope_dim;
    shape_ = {.heads = options.heads,
              .kv_heads = 1,
              .key_dim = width,
              .value_dim = options.dims.kv_rank,
              .key_stride = width,
              .value_stride = width,
              .scale = options.scale};
  }

  CachePlanes cache_planes() const override {
    return {(rank_ + rope_) * backend_.row_element_size(), 0};
  }

  void forward(int layer, const StepBatch& batch, std::span<const float> x,
               std::span<float> out) override {
    const int rows = batch.rows();
    if (rows == 0) return;
    {
      const ScopedSpan span(batch.profile, "qkv");
      append(layer, batch, x);
      make_queries(batch, x);
    }
    mixed_.resize(static_cast<std::size_t>(rows) * heads_ * rank_);
    {
      const ScopedSpan span(batch.profile, "attention");
      backend_.attention(query_, shape_, spans_, mixed_);
    }
    const ScopedSpan span(batch.profile, "output");
    const auto value_dim = static_cast<std::size_t>(options_.dims.value_dim);
    values_.resize(static_cast<std::size_t>(rows) * heads_ * value_dim);
    for_each_head(weights_.value, mixed_, {0, rank_, heads_ * rank_}, values_,
                  {0, value_dim, heads_ * value_dim}, static_cast<std::size_t>(rows));
    weights_.output->forward(values_, rows, out);
  }

 private:
  // y_h = matrix_h x_h: head h reads columns x.first + h * x.width .., and writes likewise.
  void for_each_head(const std::vector<std::unique_ptr<Linear>>& matrices, std::span<const float> x,
                     Columns from, std::span<float> y, Columns to, std::size_t rows,
                     std::size_t step = 0) {
    step = step == 0 ? to.width : step;
    head_x_.resize(rows * from.width);
    head_y_.resize(rows * to.width);
    for (const auto& matrix : matrices) {
      copy_columns(x, from, head_x_, {0, from.width, from.width}, rows);
      matrix->forward(head_x_, static_cast<int>(rows), head_y_);
      copy_columns(head_y_, {0, to.width, to.width}, y, to, rows);
      from.first += from.width;
      to.first += step;
    }
  }

  // The rows' latents and rotated keys, into the caches.
  void append(int layer, const StepBatch& batch, std::span<const float> x) {
    const auto rows = static_cast<std::size_t>(batch.rows());
    latent_.resize(rows * rank_);
    key_rope_.resize(rows * rope_);
    weights_.latent->forward(x, batch.rows(), latent_);
    weights_.key_rope->forward(x, batch.rows(), key_rope_);
    backend_.rms_norm(latent_, weights_.latent_norm, options_.norm_eps, latent_);
    backend_.rope(key_rope_, 1, batch.positions, options_.rope);
    const std::size_t width = rank_ + rope_;
    cached_.resize(rows * width);
    copy_columns(latent_, {0, rank_, rank_}, cached_, {0, rank_, width}, rows);
    copy_columns(key_rope_, {0, rope_, rope_}, cached_, {rank_, rope_, width}, rows);
    spans_.clear();
    for (const SequenceSpan& span : batch.spans) {
      GM_CHECK(span.first_position + span.rows <= span.cache->capacity(),
               "more positions than the KV cache holds");
      std::byte* plane = span.cache->keys(layer);
      backend_.store_rows(
          std::span(cached_).subspan(static_cast<std::size_t>(span.first_row) * width,
                                     static_cast<std::size_t>(span.rows) * width),
          plane +
              static_cast<std::size_t>(span.first_position) * width * backend_.row_element_size());
      spans_.push_back({span.first_row, span.rows, span.first_position, plane, plane});
    }
  }

  // query_ [rows, heads, kv_rank + rope_dim], in the space of the cached rows.
  void make_queries(const StepBatch& batch, std::span<const float> x) {
    const int rows = batch.rows();
    const auto count = static_cast<std::size_t>(rows);
    if (weights_.query_down != nullptr) {
      query_latent_.resize(count * weights_.query_norm.size());
      weights_.query_down->forward(x, rows, query_latent_);
      backend_.rms_norm(query_latent_, weights_.query_norm, options_.norm_eps, query_latent_);
      x = query_latent_;
    }
    const auto nope = static_cast<std::size_t>(options_.dims.nope_dim);
    query_nope_.resize(count * heads_ * nope);
    query_rope_.resize(count * heads_ * rope_);
    weights_.query_nope->forward(x, rows, query_nope_);
    weights_.query_rope->forward(x, rows, query_rope_);
    backend_.rope(query_rope_, options_.heads, batch.positions, options_.rope);
    const std::size_t width = rank_ + rope_;
    query_.resize(count * heads_ * width);
    for_each_head(weights_.absorb_key, query_nope_, {0, nope, heads_ * nope}, query_,
                  {0, rank_, heads_ * width}, count, width);
    copy_columns(query_rope_, {0, rope_, rope_}, query_, {rank_, rope_, width}, count * heads_);
  }

  LatentAttentionOptions options_;
  LatentAttentionWeights weights_;
  const Backend& backend_;
  std::size_t heads_, rank_, rope_;
  AttentionShape shape_;
  std::vector<float> latent_, key_rope_, cached_;  // [rows, kv_rank], [rows, rope_dim], both
  std::vector<float> query_latent_, query_nope_, query_rope_, query_;
  std::vector<float> mixed_, values_;   // [rows, heads, kv_rank], [rows, heads, value_dim]
  std::vector<float> head_x_, head_y_;  // one head's
  std::vector<AttentionSpan> spans_;
};

}  // namespace

std::unique_ptr<AttentionBlock> make_latent_attention(const LatentAttentionOptions& options,
                                                      LatentAttentionWeights weights,
                                                      const Backend& backend) {
  return std::make_unique<LatentAttention>(options, std::move(weights), backend);
}

}  // namespace gracemoe
