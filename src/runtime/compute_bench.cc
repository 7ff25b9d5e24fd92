#include "runtime/compute_bench.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/median.h"
#include "engine/sampler.h"
#include "engine/transformer.h"
#include "metrics/memory.h"
#include "plan/contiguous.h"

namespace gracemoe {
namespace {

constexpr int kLeastSteps = 3;
constexpr int kReferenceTokens = 4;
// Between two readings of memory. Long beside one (10 ms), which empties the caches.
constexpr double kReadEvery = 0.1;
// Distance from float32 (docs/numerics.md: 2.5e-3 expected of bf16), with room for one expert
// chosen differently at a near tie of random routers.
constexpr double kReferenceError = 0.1;

// A model on one device without its files.
class BenchModel {
 public:
  BenchModel(const ModelConfig& config, Checkpoint& checkpoint, const Backend& backend, bool grid)
      : topology_(Topology::grid(1, 1)), transport_(make_local_transport()) {
    const int moe_layers = static_cast<int>(config.moe_layers.size());
    plan_ = contiguous_plan({"bench", "", config.experts, config.top_k, moe_layers, topology_});
    selector_ = make_selector(RoutingPolicy::kPrimary, plan_);
    const Element element = backend.row_element_size() == 2 ? Element::kBf16 : Element::kFloat32;
    exchange_ = make_exchange({ExchangeKind::kHierarchical, Reduction::kFp32, element,
                               config.hidden, moe_layers, config.experts},
                              topology_, *transport_);
    MoeContext context;
    context.selector = selector_.get();
    context.exchange = exchange_.get();
    context.sum_on_grid = grid;
    model_ = make_transformer(config, checkpoint, backend, {plan_, context});
  }
  Transformer& operator*() { return *model_; }
  Transformer* operator->() { return model_.get(); }

 private:
  Topology topology_;
  std::unique_ptr<Transport> transport_;
  Plan plan_;
  std::unique_ptr<ReplicaSelector> selector_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Transformer> model_;
};

// Some sequences that are prefilled, or decoded a token a step.
class Phase {
 public:
  Phase(Transformer& model, const ComputeBenchOptions& options, bool prefill, int batch)
      : model_(model),
        options_(options),
        prefill_(prefill),
        rows_(prefill ? std::max(options.prefill_rows / batch, 1) : 1) {
    for (int s = 0; s < batch; ++s) numbers_.push_back(s);
    reset();
  }
  // The sequence `number` of a larger phase, alone.
  Phase(const Phase& of, int number)
      : model_(of.model_), options_(of.options_), prefill_(of.prefill_), rows_(of.rows_) {
    numbers_ = {number};
    reset();
  }

  int sequences() const { return static_cast<int>(numbers_.size()); }
  int tokens() const { return sequences() * rows_; }

  // Prefill begins anew each time; decode goes on. Caches are filled with zeros, which take the
  // same time as others.
  void prepare() {
    if (prefill_) reset();
    batch_ = {};
    batch_.profile = options_.profile;
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      const int length = caches_[i].length();
      std::vector<int> tokens;
      for (int r = 0; r < rows_; ++r) tokens.push_back(token(numbers_[i], length + r));
      batch_.add(caches_[i], static_cast<std::uint64_t>(numbers_[i]), length, tokens.data(), rows_);
      batch_.logit_rows.push_back(batch_.rows() - 1);
    }
  }
  // Logits [sequences, vocab] of the last tokens, and the greedy choice of the next.
  std::span<const float> step() {
    const auto logits = model_.forward(batch_);
    const ScopedSpan span(options_.profile, "sampling");
    const auto vocab = static_cast<std::size_t>(model_.config().vocab);
    for (std::size_t i = 0; i < numbers_.size(); ++i)
      sample({}, logits.subspan(i * vocab, vocab), 0, 0);
    return logits;
  }

 private:
  int token(int number, int position) const {
    return static_cast<int>(
        hash_combine(static_cast<std::uint64_t>(number), static_cast<std::uint64_t>(position)) %
        static_cast<std::uint64_t>(model_.config().vocab));
  }
  void reset() {
    const int behind = prefill_ ? 0 : options_.context;
    caches_.clear();
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      caches_.push_back(model_.make_cache(behind + (prefill_ ? rows_ : kMostBenchSteps + 1)));
      caches_.back().set_length(behind);
    }
  }

  Transformer& model_;
  const ComputeBenchOptions& options_;
  bool prefill_;
  int rows_;  // of a sequence and step
  std::vector<int> numbers_;
  std::vector<KvCache> caches_;
  StepBatch batch_;
};

// Sequences of the phase's first step, alone: the same logits.
void verify_alone(const Phase& phase, std::span<const float> logits, std::size_t vocab) {
  const int last = phase.sequences() - 1;
  for (const int number : {0, last / 2, last}) {
    Phase alone(phase, number);
    alone.prepare();
    const auto row = logits.subspan(static_cast<std::size_t>(number) * vocab, vocab);
    const auto again = alone.step();
    GM_CHECK(std::equal(row.begin(), row.end(), again.begin(), again.end()),
             "a sequence's logits depend on its batch");
  }
}

ComputePhase run_phase(Transformer& model, const ComputeBenchOptions& options, bool prefill,
                       int batch, WorkCount& count, MemoryReader& reader) {
  ComputePhase result;
  result.name = prefill ? "prefill" : "decode";
  result.batch = batch;
  if (options.progress) options.progress(result.name + " " + std::to_string(batch));
  ComputeBenchOptions quiet = options;
  quiet.profile = nullptr;
  {
    Phase first(model, quiet, prefill, batch);
    first.prepare();
    const auto logits = first.step();
    const std::vector<float> kept(logits.begin(), logits.end());
    if (options.verify) verify_alone(first, kept, static_cast<std::size_t>(model.config().vocab));
  }
  Phase phase(model, options, prefill, batch);
  result.tokens = phase.tokens();
  count = {};
  const double begin = wall_seconds();
  double read = begin - kReadEvery, rate = 0;
  for (int i = 0; i < kMostBenchSteps; ++i) {
    if (i >= kLeastSteps && wall_seconds() - begin > options.seconds) break;
    if (wall_seconds() - read >= kReadEvery) {
      rate = reader.read();
      read = wall_seconds();
    }
    phase.prepare();
    const ScopedSpan span(options.profile, prefill ? "prefill step" : "decode step");
    const double start = wall_seconds();
    phase.step();
    result.seconds.push_back(wall_seconds() - start);
    result.readable_bytes.push_back(result.seconds.back() * rate);
  }
  const auto steps = static_cast<double>(result.seconds.size());
  result.work = {count.weight_bytes / steps, count.cache_bytes / steps, count.flops / steps};
  std::sort(result.seconds.begin(), result.seconds.end());
  return result;
}

// Root mean square of the difference to the reference's logits, relative to theirs.
double error_of(const ModelConfig& config, Checkpoint& checkpoint, Transformer& model) {
  const auto backend = make_reference_backend();
  BenchModel reference(config, checkpoint, *backend, false);
  ComputeBenchOptions few;
  few.prefill_rows = kReferenceTokens;
  Phase ours(model, few, true, 1), theirs(*reference, few, true, 1);
  ours.prepare();
  theirs.prepare();
  const auto got = ours.step(), want = theirs.step();
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - want[i], 2);
    size += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / size);
}

}  // namespace

double ComputePhase::median_seconds() const {
  return median(seconds);
}

double ComputePhase::bandwidth_share() const {
  const double readable = median(readable_bytes);
  return readable == 0 ? 0 : (work.weight_bytes + work.cache_bytes) / readable;
}

void check_positions(const ModelConfig& config, const ComputeBenchOptions& options) {
  const auto require = [&](const std::string& what, const std::string& got, std::int64_t positions,
                           const std::string& action) {
    if (positions > config.max_positions)
      fail_usage({what, got,
                  "at most " + std::to_string(config.max_positions) +
                      " positions, as the model's config says",
                  action});
  };
  require("context of bench compute",
          std::to_string(options.context) + " positions and up to " +
              std::to_string(kMostBenchSteps) + " steps behind them",
          std::int64_t{options.context} + kMostBenchSteps, "use a smaller --context");
  for (const int batch : options.batches)
    require("prefill of bench compute",
            std::to_string(options.prefill_rows) + " tokens of " + std::to_string(batch) +
                (batch == 1 ? " sequence" : " sequences"),
            options.prefill_rows / batch, "use a smaller --prefill, or larger --batches");
}

ComputeBenchResult bench_compute(const ModelConfig& config, Checkpoint& checkpoint,
                                 const ComputeBenchOptions& options) {
  check_positions(config, options);
  ComputeBenchResult result;
  const auto backend = make_cpu_backend(options.cpu);
  WorkCount count;
  const auto counting = make_counting_backend(*backend, options.cpu, count);
  if (options.progress) options.progress("loading");
  BenchModel model(config, checkpoint, *counting, true);
  result.backend = backend->name();
  if (options.verify) {
    if (options.progress) options.progress("verifying");
    result.reference_error = error_of(config, checkpoint, *model);
    if (!(result.reference_error < kReferenceError))
      throw Error(ErrorCategory::kInternal, "logits are far from the reference backend's: " +
                                                std::to_string(result.reference_error));
  }
  keep_freed_memory();
  if (options.progress) options.progress("limits");
  MemoryReader reader(options.cpu.threads);
  result.limits = measure_limits(options.cpu, reader);
  for (const bool prefill : {true, false})
    for (const int batch : options.batches)
      result.phases.push_back(run_phase(*model, options, prefill, batch, count, reader));
  return result;
}

}  // namespace gracemoe
