#include "runtime/golden_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"
#include "support/demo.h"

namespace gracemoe {
namespace {

double square(double x) {
  return x * x;
}

double rms_of(std::span<const float> values) {
  double squares = 0;
  for (const float x : values) squares += square(x);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

SafetensorsFile golden_file(const GoldenCase& c) {
  return SafetensorsFile(source_dir() / c.golden);
}

// That a normally distributed error of this rms exceeds `distance`, to one side.
double chance_beyond(double distance, double rms) {
  return 0.5 * std::erfc(distance / rms / std::sqrt(2.0));
}

// More of events that are expected so often come seldom (three standard deviations).
int seldom_more(double expected) {
  return static_cast<int>(expected + 3 * std::sqrt(expected));
}

std::vector<Request> requests_of_tensor(const TensorView& ids, int max_new) {
  std::vector<Request> requests;
  const auto length = static_cast<std::size_t>(ids.shape[1]);
  const auto values = ids.as<std::int64_t>();
  for (std::size_t s = 0; s < static_cast<std::size_t>(ids.shape[0]); ++s) {
    Request r{s, {}, max_new};
    for (std::size_t i = 0; i < length; ++i)
      r.prompt.push_back(static_cast<int>(values[s * length + i]));
    requests.push_back(r);
  }
  return requests;
}

std::vector<Request> requests_here(const std::vector<Request>& all, Transport& transport) {
  return requests_of(all, transport.rank(), transport.size());
}

// [requests] on rank 0.
std::vector<std::vector<float>> all_logits(Deployment& deployment, Transport& transport,
                                           const std::vector<Request>& requests) {
  std::vector<std::vector<float>> logits(requests.size());
  RunOptions how;
  how.max_rows = 40;  // so that prompts are taken in chunks
  how.score = [&](const Request& request, int, std::span<const float> row) {
    auto& to = logits[request.id];
    to.insert(to.end(), row.begin(), row.end());
  };
  RunTimes times;
  run_requests(deployment.model(), transport, requests_here(requests, transport), how, times);
  for (auto& its : logits) {
    std::vector<float> whole;
    for (const auto& part : gather_vectors(transport, its, 0))
      whole.insert(whole.end(), part.begin(), part.end());
    its = std::move(whole);
  }
  return logits;
}

// Of a MoE layer's router, with its norm's weights g: how far a relative error of the residual, 1
// in every element, moves the difference of two experts' logits - the norm of (w_a - w_b) g.
class RouterSpread {
 public:
  RouterSpread(const GoldenCase& c, int layer) {
    Checkpoint checkpoint(source_dir() / c.model);
    const ModelConfig config = read_model_config(source_dir() / c.model);
    const std::string prefix =
        "model.layers." + std::to_string(config.moe_layers[static_cast<std::size_t>(layer)]) + ".";
    const auto norm =
        checkpoint.tensor(prefix + "post_attention_layernorm.weight", {config.hidden}).as<bf16>();
    const auto gate =
        checkpoint.tensor(prefix + "mlp.gate.weight", {config.experts, config.hidden}).as<bf16>();
    width_ = norm.size();
    for (std::size_t i = 0; i < gate.size(); ++i)
      weights_.push_back(to_float(gate[i]) * to_float(norm[i % width_]));
  }
  double of(int a, int b) const {
    double squares = 0;
    for (std::size_t i = 0; i < width_; ++i)
      squares += square(weights_[static_cast<std::size_t>(a) * width_ + i] -
                        weights_[static_cast<std::size_t>(b) * width_ + i]);
    return std::sqrt(squares);
  }
  // In the mean square over all pairs.
  double typical() const {
    const auto experts = static_cast<int>(weights_.size() / width_);
    double squares = 0;
    for (int a = 0; a < experts; ++a)
      for (int b = 0; b < experts; ++b) squares += square(of(a, b));
    return std::sqrt(squares / (experts * (experts - 1)));
  }

 private:
  std::size_t width_ = 0;
  std::vector<float> weights_;  // [experts, hidden]
};

std::vector<int> only_in_first(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
  return rest;
}

// The choices of one layer against the golden file's.
class LayerChoices {
 public:
  LayerChoices(const GoldenCase& c, const GoldenRun& run, const SafetensorsFile& golden, int layer)
      : run_(run), layer_(layer), spread_(c, layer) {
    const auto rows = static_cast<std::size_t>(run.trace.tokens());
    const auto k = static_cast<std::size_t>(run.trace.top_k);
    ids_ = golden.tensor("router_topk")
               .as<std::int32_t>()
               .subspan(static_cast<std::size_t>(layer) * rows * k, rows * k);
    gaps_ =
        golden.tensor("kth_gap").as<float>().subspan(static_cast<std::size_t>(layer) * rows, rows);
  }
  std::int64_t rows() const { return run_.trace.tokens(); }
  double gap(std::int64_t row) const { return gaps_[static_cast<std::size_t>(row)]; }
  // Chosen by the golden file and not by us, the other way round, ascending.
  std::pair<std::vector<int>, std::vector<int>> differing(std::int64_t row) const {
    const auto k = static_cast<std::size_t>(run_.trace.top_k);
    const auto chosen = run_.trace.chosen(row, layer_);
    std::vector<int> got(chosen.begin(), chosen.end());
    std::sort(got.begin(), got.end());
    const auto golden = ids_.subspan(static_cast<std::size_t>(row) * k, k);
    const std::vector<int> want(golden.begin(), golden.end());
    return {only_in_first(want, got), only_in_first(got, want)};
  }
  // A gap of k-th and next probability that such an error of the residual may just close, if it
  // moves the experts' logits apart by the widest pair of these. The k-th probability is at most
  // our own smallest one grown by as much.
  double closable_gap(std::int64_t row, double error, const std::vector<int>& wanted,
                      const std::vector<int>& got) const {
    double widest = 0;
    for (const int a : wanted)
      for (const int b : got) widest = std::max(widest, spread_.of(a, b));
    return smallest_weight(row) * std::expm1(error * widest);
  }
  // That the choice of this row is another one, at an error of this rms.
  double chance_of_another(std::int64_t row, double error_rms) const {
    return chance_beyond(gap(row) / smallest_weight(row), error_rms * typical_);
  }

 private:
  double smallest_weight(std::int64_t row) const {
    const auto k = static_cast<std::size_t>(run_.trace.top_k);
    const auto at = (static_cast<std::size_t>(row) * static_cast<std::size_t>(run_.trace.layers) +
                     static_cast<std::size_t>(layer_)) *
                    k;
    const auto& weights = run_.trace.weights;
    return *std::min_element(weights.begin() + static_cast<std::ptrdiff_t>(at),
                             weights.begin() + static_cast<std::ptrdiff_t>(at + k));
  }

  const GoldenRun& run_;
  int layer_;
  RouterSpread spread_;
  double typical_ = spread_.typical();
  std::span<const std::int32_t> ids_;  // [rows, k]
  std::span<const float> gaps_;        // [rows]
};

}  // namespace

GoldenCase tiny_case(const std::string& model, bool reference) {
  return {model + (reference ? "_reference" : "_cpu"), "tests/data/" + model,
          "tests/data/" + model + "_golden.safetensors", reference, false};
}

GoldenCase demo_case(bool reference) {
  return {reference ? "demo_reference" : "demo_cpu", "models/gracemoe-demo",
          "tests/data/demo_golden.safetensors", reference, true};
}

Bf16Error::Bf16Error(const ModelConfig& config, bool trained) {
  // Squares of relative errors, in units of one rounding's.
  const double attention =
      5 + (config.latent.kv_rank > 0 ? 1 : 0) + (config.latent.query_rank > 0 ? 2 : 0);
  constexpr double kExperts = 3;
  constexpr double kGain = 3;  // silu(gate), up and the router's weight err together
  // k terms on a grid of at most 2^-14 of the residual's rms.
  const double grid = config.top_k * square(0x1p-14 / kRounding) / 12;
  double squares = 0;
  for (int layer = 0; layer < config.layers; ++layer) {
    // The block's share of the residual's square after it: all of it at worst; where blocks add
    // alike, one of so many.
    const auto add = [&](int block, double own, double gain) {
      const double share = trained ? 1.0 / (block + 2) : 1.0;
      squares = (1 - share) * squares + share * (own + gain * gain * squares);
    };
    add(2 * layer, attention, 1);
    const auto& moe = config.moe_layers;
    const bool has_experts = std::binary_search(moe.begin(), moe.end(), layer);
    if (has_experts) residual_.push_back(std::sqrt(squares));
    add(2 * layer + 1, kExperts, kGain);
    if (has_experts) squares += grid;
  }
  logits_ = std::sqrt(squares + 1);  // the head's input
}

double Bf16Error::largest_of(std::size_t count) {
  return std::sqrt(2 * std::log(2 * static_cast<double>(count)));
}

GoldenRun run_golden(const GoldenCase& c, std::shared_ptr<const Plan> plan,
                     const Topology& topology, Transport& transport) {
  DeploymentOptions options;
  options.model = source_dir() / c.model;
  options.made_plan = std::move(plan);
  options.reference_backend = c.reference;
  options.cpu.isa = c.isa;
  options.record_routing = true;
  Deployment deployment(options, topology, transport);
  const SafetensorsFile golden = golden_file(c);
  GoldenRun run;
  run.backend = deployment.backend().name();
  run.logits = all_logits(deployment, transport, requests_of_tensor(golden.tensor("input_ids"), 0));
  run.trace = collect_trace(deployment, "prefill");
  const TensorView& prompts = golden.tensor(golden.has("prompts") ? "prompts" : "input_ids");
  const auto requests =
      requests_of_tensor(prompts, static_cast<int>(golden.tensor("greedy").shape[1]));
  RunOptions how;
  how.ignore_eos = true;
  RunTimes times;
  run.completions = collect_completions(
      transport,
      run_requests(deployment.model(), transport, requests_here(requests, transport), how, times));
  return run;
}

double expect_logits(const GoldenCase& c, const GoldenRun& run) {
  const SafetensorsFile golden = golden_file(c);
  const TensorView& logits = golden.tensor("logits");  // [sequences, last rows, vocab]
  const auto want = logits.as<float>();
  const auto values = static_cast<std::size_t>(logits.shape[1] * logits.shape[2]);
  EXPECT_EQ(run.logits.size() * values, want.size());
  double largest = 0, squares = 0;
  for (std::size_t s = 0; s < run.logits.size(); ++s) {
    const float* got = run.logits[s].data() + run.logits[s].size() - values;
    for (std::size_t i = 0; i < values; ++i) {
      const double difference =
          std::abs(static_cast<double>(got[i]) - static_cast<double>(want[s * values + i]));
      largest = std::max(largest, difference);
      squares += square(difference);
    }
  }
  const double rms = std::sqrt(squares / static_cast<double>(want.size()));
  double bound_rms = 2e-4, bound = 2e-3;  // float32 in another order of additions, by contract
  if (!c.reference) {
    const Bf16Error error(read_model_config(source_dir() / c.model), c.trained);
    bound_rms = error.logits_rms(rms_of(want));
    bound = bound_rms * Bf16Error::largest_of(want.size());
  }
  printf("%s: largest logit difference %.3g of %.3g, rms %.3g of %.3g\n", c.name.c_str(), largest,
         bound, rms, bound_rms);
  EXPECT_LE(largest, bound);
  EXPECT_LE(rms, bound_rms);
  return rms;
}

void expect_choices(const GoldenCase& c, const GoldenRun& run) {
  const SafetensorsFile golden = golden_file(c);
  const Bf16Error error(read_model_config(source_dir() / c.model), c.trained);
  const auto choices =
      static_cast<std::size_t>(run.trace.tokens()) * static_cast<std::size_t>(run.trace.layers);
  EXPECT_EQ(golden.tensor("kth_gap").as<float>().size(), choices);
  int others = 0;
  double expected = 0, widest = 0;
  for (int layer = 0; layer < run.trace.layers; ++layer) {
    const LayerChoices its(c, run, golden, layer);
    // Float32 in another order errs by a few of its last bits.
    const double rms = c.reference ? 0x1p-20 : error.residual_rms(layer);
    for (std::int64_t row = 0; row < its.rows(); ++row) {
      if (c.trained) expected += its.chance_of_another(row, rms);
      const auto [wanted, got] = its.differing(row);
      if (got.empty()) continue;
      ++others;
      widest = std::max(widest, its.gap(row));
      EXPECT_TRUE(c.trained) << c.name << " layer " << layer << " row " << row;
      EXPECT_LE(its.gap(row),
                its.closable_gap(row, rms * Bf16Error::largest_of(choices), wanted, got))
          << c.name << " layer " << layer << " row " << row;
    }
  }
  printf("%s: %d of %zu choices are others, expected at most %.3g; widest gap %.2g\n",
         c.name.c_str(), others, choices, expected, widest);
  EXPECT_LE(others, seldom_more(expected));
}

// Final multipliers, in the order of rising expert ids. Logits of a size of 1 move them by their
// own relative error.
void expect_weights(const GoldenCase& c, const GoldenRun& run) {
  const SafetensorsFile golden = golden_file(c);
  const auto ids = golden.tensor("router_topk").as<std::int32_t>();
  const auto want = golden.tensor("router_weights").as<float>();
  const auto k = static_cast<std::size_t>(run.trace.top_k);
  const auto rows = static_cast<std::size_t>(run.trace.tokens());
  const auto layers = static_cast<std::size_t>(run.trace.layers);
  ASSERT_EQ(ids.size(), rows * k * layers);
  ASSERT_EQ(run.trace.weights.size(), ids.size());
  double largest = 0;
  for (std::size_t layer = 0; layer < layers; ++layer) {
    for (std::size_t row = 0; row < rows; ++row) {
      const auto chosen = run.trace.chosen(static_cast<std::int64_t>(row), static_cast<int>(layer));
      const std::size_t have = (row * layers + layer) * k;
      for (std::size_t j = 0; j < k; ++j) {
        const std::size_t at = (layer * rows + row) * k + j;
        const auto slot = static_cast<std::size_t>(
            std::find(chosen.begin(), chosen.end(), ids[at]) - chosen.begin());
        ASSERT_LT(slot, k) << "another expert";
        largest = std::max(
            largest, std::abs(static_cast<double>(run.trace.weights[have + slot] - want[at])));
      }
    }
  }
  double bound = 3e-5;
  if (!c.reference) {
    const ModelConfig config = read_model_config(source_dir() / c.model);
    bound = config.routed_scale *
            Bf16Error(config, c.trained).residual_rms(static_cast<int>(layers) - 1) *
            Bf16Error::largest_of(want.size());
  }
  printf("%s: largest weight difference %.2g of %.2g\n", c.name.c_str(), largest, bound);
  EXPECT_LE(largest, bound);
}

void expect_continuations(const GoldenCase& c, const GoldenRun& run, double logits_rms) {
  const SafetensorsFile golden = golden_file(c);
  const auto ids = golden.tensor("greedy").as<std::int64_t>();
  const auto margins = golden.tensor("greedy_margin").as<float>();
  EXPECT_EQ(run.completions.size(), static_cast<std::size_t>(golden.tensor("greedy").shape[0]));
  const std::size_t steps = ids.size() / run.completions.size();
  // Of a difference of two logits.
  const double error = std::sqrt(2.0) * logits_rms;
  double bound = 0;
  if (!c.reference) {
    const Bf16Error derived(read_model_config(source_dir() / c.model), c.trained);
    bound = std::sqrt(2.0) * derived.logits_rms(rms_of(golden.tensor("logits").as<float>())) *
            Bf16Error::largest_of(ids.size());
  }
  double expected = 0;
  for (const float margin : margins) expected += chance_beyond(margin, error);
  int turns = 0;
  double widest = 0;  // margin of the step at which a text first differed
  for (std::size_t s = 0; s < run.completions.size(); ++s) {
    const auto& tokens = run.completions[s].tokens;
    ASSERT_EQ(tokens.size(), steps);
    std::size_t i = 0;
    while (i < steps && tokens[i] == ids[s * steps + i]) ++i;
    if (i == steps) continue;
    // After a first difference the texts differ for good; that first one must be a near tie.
    ++turns;
    const auto tie = static_cast<double>(margins[s * steps + i]);
    widest = std::max(widest, tie);
    EXPECT_LE(tie, bound) << c.name << " prompt " << s << " step " << i;
  }
  printf("%s: %d of %zu texts take another turn, %.2g near ties expected to; widest margin %.2g\n",
         c.name.c_str(), turns, run.completions.size(), expected, widest);
  // The tiny models' margins are above 0.1: AVX2's sums turn none. Another set's round otherwise.
  const bool none = c.reference || (!c.trained && run.backend.find("avx2") != run.backend.npos);
  EXPECT_LE(turns, none ? 0 : seldom_more(expected));
}

RoutingTrace golden_trace(const GoldenCase& c) {
  const SafetensorsFile golden = golden_file(c);
  const TensorView& topk = golden.tensor("router_topk");  // [layers, sequences, length, k]
  const auto ids = topk.as<std::int32_t>();
  const ModelConfig config = read_model_config(source_dir() / c.model);
  RoutingTrace trace;
  trace.model = config.architecture_name;
  trace.num_experts = config.experts;
  trace.top_k = config.top_k;
  trace.layers = static_cast<int>(topk.shape[0]);
  const auto rows = static_cast<std::size_t>(topk.shape[1] * topk.shape[2]);
  const auto k = static_cast<std::size_t>(topk.shape[3]);
  for (std::size_t row = 0; row < rows; ++row) {
    trace.sequence.push_back(static_cast<std::int32_t>(row) /
                             static_cast<std::int32_t>(topk.shape[2]));
    for (std::size_t layer = 0; layer < static_cast<std::size_t>(trace.layers); ++layer)
      for (std::size_t j = 0; j < k; ++j)
        trace.experts.push_back(static_cast<std::uint16_t>(ids[(layer * rows + row) * k + j]));
  }
  return trace;
}

}  // namespace gracemoe
