// What a golden file says - outputs that an independent float32 implementation gave on the same
// bf16 weights - against a run of the engine on any ranks under any plan.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/safetensors.h"
#include "runtime/batch_runner.h"
#include "runtime/deployment.h"
#include "trace/routing_trace.h"

namespace gracemoe {

struct GoldenCase {
  std::string name;   // of the test
  std::string model;  // folder, from the source's
  std::string golden;
  bool reference;        // backend; else cpu
  bool trained;          // else the weights are random, and no choice or margin is a near tie
  std::string isa = "";  // of the cpu backend; "": the best
};
GoldenCase tiny_case(const std::string& model, bool reference);
GoldenCase demo_case(bool reference);
// The tiny models' names, whose golden files are tests/data/NAME_golden.safetensors.
inline constexpr const char* kTinyModels[] = {"olmoe_tiny", "qwen3_moe_tiny", "qwen3_moe_tiny_tied",
                                              "deepseek_v2_tiny", "deepseek_v2_tiny_q"};

// How far off float32 the cpu backend may be, from the arithmetic alone: docs/numerics.md.
class Bf16Error {
 public:
  Bf16Error(const ModelConfig& config, bool trained);
  // Root mean square errors: of logits of this root mean square; of the residual that the MoE layer
  // `layer` gets, relative to itself.
  double logits_rms(double size) const { return kRounding * logits_ * size; }
  double residual_rms(int layer) const {
    return kRounding * residual_[static_cast<std::size_t>(layer)];
  }
  // What the largest of so many normally distributed errors seldom exceeds, over their rms.
  static double largest_of(std::size_t count);

 private:
  // A value of 8 bits' mantissa, rounded to nearest: at most 2^-8 of it, 0.4 of that in the mean
  // square.
  static constexpr double kRounding = 0.4 * 0x1p-8;
  double logits_ = 0;
  std::vector<double> residual_;  // [MoE layers]
};

// The golden file's input_ids [sequences, length], each position's logits and choices; and its
// prompts continued greedily.
struct GoldenRun {
  std::vector<std::vector<float>> logits;  // [sequences][length * vocab]
  RoutingTrace trace;
  std::vector<Completion> completions;
  std::string backend;  // "cpu (avx2)"
};

// Collective. `plan`: null for contiguous. Whole on rank 0, empty elsewhere.
GoldenRun run_golden(const GoldenCase& c, std::shared_ptr<const Plan> plan,
                     const Topology& topology, Transport& transport);

// Each adds gtest failures, and prints what it measured. The logits' gives their root mean square
// error.
double expect_logits(const GoldenCase& c, const GoldenRun& run);
void expect_choices(const GoldenCase& c, const GoldenRun& run);
void expect_weights(const GoldenCase& c, const GoldenRun& run);
void expect_continuations(const GoldenCase& c, const GoldenRun& run, double logits_rms);

// The choices that the golden file has, as a trace to make plans from.
RoutingTrace golden_trace(const GoldenCase& c);

}  // namespace gracemoe
