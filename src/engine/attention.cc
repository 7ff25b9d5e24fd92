#include "engine/attention.h"

#include "base/error.h"

namespace gracemoe {
namespace {

class GroupedQueryAttention final : public AttentionBlock {
 public:
  GroupedQueryAttention(const GroupedQueryOptions& options, GroupedQueryWeights weights,
                        const Backend& backend)
      : options_(options), weights_(std::move(weights)), backend_(backend) {}

  CachePlanes cache_planes() const override {
    const std::size_t bytes = key_width() * backend_.row_element_size();
    return {bytes, bytes};
  }

  void forward(int layer, const StepBatch& batch, std::span<const float> x,
               std::span<float> out) override {
    const int rows = batch.rows();
    if (rows == 0) return;
    query_.resize(static_cast<std::size_t>(rows) * query_width());
    key_.resize(static_cast<std::size_t>(rows) * key_width());
    value_.resize(key_.size());
    mixed_.resize(query_.size());
    project(batch, x);
    rotate(batch);
    {
      const ScopedSpan span(batch.profile, "attention");
      backend_.attention(query_,
                         grouped_query_shape(options_.heads, options_.kv_heads, options_.head_dim),
                         append(layer, batch), mixed_);
    }
    const ScopedSpan span(batch.profile, "output");
    weights_.output->forward(mixed_, rows, out);
  }

 private:
  std::size_t query_width() const {
    return static_cast<std::size_t>(options_.heads * options_.head_dim);
  }
  std::size_t key_width() const {
    return static_cast<std::size_t>(options_.kv_heads * options_.head_dim);
  }

  void project(const StepBatch& batch, std::span<const float> x) {
    const ScopedSpan span(batch.profile, "qkv");
    weights_.query->forward(x, batch.rows(), query_);
    weights_.key->forward(x, batch.rows(), key_);
    weights_.value->forward(x, batch.rows(), value_);
  }

  void rotate(const StepBatch& batch) {
    if (options_.norm !=
        QueryKeyNorm::kNone) {  // the norm's width is its weight's: all heads, or one
      const ScopedSpan span(batch.profile, "norm");
      backend_.rms_norm(query_, weights_.query_norm, options_.rms_eps, query_);
      backend_.rms_norm(key_, weights_.key_norm, options_.rms_eps, key_);
    }
    const ScopedSpan span(batch.profile, "rope");
    backend_.rope(query_, options_.heads, batch.positions, options_.rope);
    backend_.rope(key_, options_.kv_heads, batch.positions, options_.rope);
  }

  // Stores the rows' keys and values; returns what each span attends to.
  std::span<const AttentionSpan> append(int layer, const StepBatch& batch) {
    const std::size_t bytes = key_width() * backend_.row_element_size();
    spans_.clear();
    for (const SequenceSpan& span : batch.spans) {
      GM_CHECK(span.first_position + span.rows <= span.cache->capacity(),
               "more positions than the KV cache holds");
      const std::size_t begin = static_cast<std::size_t>(span.first_row) * key_width();
      const std::size_t count = static_cast<std::size_t>(span.rows) * key_width();
      const std::size_t at = static_cast<std::size_t>(span.first_position) * bytes;
      backend_.store_rows(std::span(key_).subspan(begin, count), span.cache->keys(layer) + at);
      backend_.store_rows(std::span(value_).subspan(begin, count), span.cache->values(layer) + at);
      spans_.push_back({span.first_row, span.rows, span.first_position, span.cache->keys(layer),
                        span.cache->values(layer)});
    }
    return spans_;
  }

  GroupedQueryOptions options_;
  GroupedQueryWeights weights_;
  const Backend& backend_;
  std::vector<float> query_, key_, value_, mixed_;  // [rows, heads or kv_heads * head_dim]
  std::vector<AttentionSpan> spans_;
};

}  // namespace

std::unique_ptr<AttentionBlock> make_grouped_query_attention(const GroupedQueryOptions& options,
                                                             GroupedQueryWeights weights,
                                                             const Backend& backend) {
  GM_CHECK(options.heads % options.kv_heads == 0, "query heads must be a multiple of key heads");
  return std::make_unique<GroupedQueryAttention>(options, std::move(weights), backend);
}

}  // namespace gracemoe
