#include "engine/step_batch.h"

#include <algorithm>

namespace gracemoe {
namespace {

StepBatch rows_of(const StepBatch& batch, int first, int last) {
  StepBatch part;
  part.first_row = batch.first_row + first;
  part.tokens.assign(batch.tokens.begin() + first, batch.tokens.begin() + last);
  part.positions.assign(batch.positions.begin() + first, batch.positions.begin() + last);
  for (const SequenceSpan& span : batch.spans) {
    const int begin = std::max(first, span.first_row);
    const int end = std::min(last, span.first_row + span.rows);
    if (begin >= end) continue;
    SequenceSpan cut = span;
    cut.first_row = begin - first;
    cut.rows = end - begin;
    cut.first_position = span.first_position + (begin - span.first_row);
    part.spans.push_back(cut);
  }
  for (const int row : batch.logit_rows)
    if (row >= first && row < last) part.logit_rows.push_back(row - first);
  part.uneven = batch.uneven;
  part.profile = batch.profile;
  return part;
}

}  // namespace

std::vector<StepBatch> cut_batch(const StepBatch& batch) {
  std::vector<StepBatch> parts;
  const int count = batch.micro_batches;
  for (int i = 0; i < count; ++i)
    parts.push_back(rows_of(batch, batch.rows() * i / count, batch.rows() * (i + 1) / count));
  return parts;
}

}  // namespace gracemoe
