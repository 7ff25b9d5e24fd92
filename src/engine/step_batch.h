// The tokens one step of this device computes: consecutive rows of one or more sequences (prefill
// chunks and single decode tokens alike). A device without work has an empty batch and still takes
// part in the step.
#pragma once
#include <cstdint>
#include <vector>

#include "base/spans.h"

namespace gracemoe {

class KvCache;

struct SequenceSpan {
  KvCache* cache = nullptr;   // holds positions 0 .. first_position-1
  std::uint64_t request = 0;  // number of the request (or text window), the same on every rank
  int first_row = 0;
  int rows = 0;
  int first_position = 0;
};

struct StepBatch {
  std::vector<int> tokens;              // [rows] ids
  std::vector<std::int32_t> positions;  // [rows]
  std::vector<SequenceSpan> spans;      // cover all rows, in order
  std::vector<int> logit_rows;          // rows whose logits are wanted, ascending, each once
  int first_row = 0;                    // of a micro-batch: its first row among the step's
  int micro_batches = 1;                // into how many the step is cut: the same on every device
  bool uneven = false;  // the step's rows lie unevenly on this node's devices (TokenRoutes)
  SpanRecorder* profile = nullptr;  // where the step's time goes; null: nobody asks
  int rows() const { return static_cast<int>(tokens.size()); }
  // Appends `count` tokens of a sequence that stands at first_position.
  void add(KvCache& cache, std::uint64_t request, int first_position, const int* ids, int count) {
    spans.push_back({&cache, request, rows(), count, first_position});
    for (int i = 0; i < count; ++i) {
      tokens.push_back(ids[i]);
      positions.push_back(first_position + i);
    }
  }
};

// The batch in micro_batches of consecutive rows, as equal as can be; some may be empty. A sequence
// may be cut. Each has the logit_rows that are its own.
std::vector<StepBatch> cut_batch(const StepBatch& batch);

}  // namespace gracemoe
