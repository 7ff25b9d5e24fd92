// The contracts of backend.h, checked at entry of every implementation. A broken one is a defect of
// the caller (Error kInternal): what users give is checked where it is read. Costs O(1), and
// O(entries) for grouped rows.
#pragma once
#include <span>

#include "compute/backend.h"

namespace gracemoe {

void check_weight(const WeightView& weight);
// All experts of a group have the same [width, hidden].
void check_experts(std::span<const ExpertWeights> experts);
void check_linear(const Linear& linear, std::span<const float> x, int rows, std::span<float> y);
void check_grouped_rows(const GroupedRows& work, std::size_t experts);
void check_rms_norm(std::span<const float> x, std::span<const bf16> weight, std::span<float> y);
void check_rope(std::span<const float> x, int heads, std::span<const std::int32_t> position,
                const Rope& rope);
void check_attention(std::span<const float> q, const AttentionShape& shape,
                     std::span<const AttentionSpan> spans, std::span<const float> out);

}  // namespace gracemoe
