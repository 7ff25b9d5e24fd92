// How fast one process computes a model, phase by phase, beside what its machine could do.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/spans.h"
#include "compute/counting_backend.h"
#include "compute/limits.h"
#include "model/checkpoint.h"
#include "model/model_config.h"

namespace gracemoe {

struct ComputeBenchOptions {
  CpuOptions cpu;
  std::vector<int> batches;  // sequences at once
  int prefill_rows = 512;    // prompt tokens of a step, shared by its sequences
  int context = 128;         // positions that a decoding sequence has behind it
  double seconds = 2;        // of each phase, at least three steps
  bool verify = true;
  SpanRecorder* profile = nullptr;                         // may be null
  std::function<void(const std::string& phase)> progress;  // before each phase; may be empty
};

struct ComputePhase {
  std::string name;             // "prefill", "decode"
  int batch = 0;                // sequences
  int tokens = 0;               // of a step
  std::vector<double> seconds;  // of each step, sampling included, ascending
  WorkCount work;               // of a step, the mean
  // Of each step: what could have been read from memory meanwhile, by a reading shortly before.
  std::vector<double> readable_bytes;
  double median_seconds() const;
  double bandwidth_share() const;  // bytes that a step must read over those
  double tokens_per_second() const { return tokens / median_seconds(); }
};

struct ComputeBenchResult {
  std::string backend;
  MachineLimits limits;
  double reference_error = 0;  // of a row's logits, relative to their root mean square
  std::vector<ComputePhase> phases;
};

// Steps of a phase at most; so many positions may come behind ComputeBenchOptions::context.
constexpr int kMostBenchSteps = 64;
// Error (kUsage): more positions than the model's config says it has.
void check_positions(const ModelConfig& config, const ComputeBenchOptions& options);

// Loads all of the model. Each phase's first step is checked before the others are timed: some
// sequences alone must give the same logits to the bit. Logits of a few tokens are compared with
// the reference backend's. Errors (kInternal): a wrong result; those of
// check_positions() and of loading.
ComputeBenchResult bench_compute(const ModelConfig& config, Checkpoint& checkpoint,
                                 const ComputeBenchOptions& options);

}  // namespace gracemoe
