#include "runtime/deployment.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/hash.h"
#include "base/progress.h"
#include "metrics/memory.h"
#include "model/fingerprint.h"
#include "model/shared_hashes.h"
#include "plan/contiguous.h"
#include "runtime/footprint.h"
#include "runtime/host.h"
#include "runtime/link_rate.h"
#include "runtime/together.h"

namespace gracemoe {

Deployment::Deployment(const DeploymentOptions& options, const Topology& topology,
                       Transport& transport)
    : options_(options), topology_(topology), transport_(transport) {
  together(transport_, [this] { read(); });
  const HostRanks host = host_ranks(transport_);
  const bool packs = !options_.reference_backend;
  std::shared_ptr<HostMemory> shared = packs ? share_memory(transport_, host) : nullptr;
  FootprintOptions size;
  size.element_bytes = options_.reference_backend ? 4 : 2;
  size.int8 = options_.cpu.weights == "int8";
  size.rows = options_.rows;
  size.cache_positions = options_.cache_positions;
  size.logit_rows = options_.logit_rows;
  const auto available = options_.memory_bytes > 0
                             ? static_cast<std::int64_t>(options_.memory_bytes)
                             : available_memory();
  require_memory(transport_, host, footprint(config_, *checkpoint_, plan_, transport_.rank(), size),
                 shared != nullptr, available);
  settle_packing();
  const auto hashes = std::make_shared<SharedHashes>(*checkpoint_, host.member, host.members);
  together(transport_, [&] {
    load(std::move(shared), hashes);
    hashes->sum();
  });
  agree(shared_digest(*checkpoint_, config_, host_sum(transport_, host, hashes->sum())));
  settle_intra();
  settle_even();
  keep_freed_memory();
}

std::string Deployment::model_name() const {
  const std::filesystem::path folder = options_.model.lexically_normal();
  return folder.has_filename() ? folder.filename().string()
                               : folder.parent_path().filename().string();
}

void Deployment::read() {
  config_ = read_model_config(options_.model);
  checkpoint_ = std::make_unique<Checkpoint>(options_.model);
  fingerprint_ = gracemoe::fingerprint(*checkpoint_, config_);
  const int moe_layers = static_cast<int>(config_.moe_layers.size());
  const PlanTarget target{model_name(),  fingerprint_, config_.experts,
                          config_.top_k, moe_layers,   topology_};
  if (options_.made_plan != nullptr)
    plan_ = *options_.made_plan;
  else
    plan_ = options_.plan.empty() ? contiguous_plan(target) : read_plan(options_.plan);
  if (options_.made_plan != nullptr || !options_.plan.empty())
    check_plan_fits(plan_, target, options_.plan.empty() ? "plan" : options_.plan.string());
}

void Deployment::load(std::shared_ptr<HostMemory> shared,
                      const std::shared_ptr<SharedHashes>& hashes) {
  const int moe_layers = static_cast<int>(config_.moe_layers.size());
  CpuOptions cpu = options_.cpu;
  cpu.shared = std::move(shared);
  backend_ = options_.reference_backend ? make_reference_backend() : make_cpu_backend(cpu);
  selector_ = make_selector(options_.routing, plan_);
  const Element element = backend_->row_element_size() == 2 ? Element::kBf16 : Element::kFloat32;
  exchange_ = make_exchange(
      {options_.exchange, options_.reduction, element, config_.hidden, moe_layers, config_.experts,
       options_.overlap, options_.intra, options_.packing, options_.even},
      topology_, transport_);
  times_ = MoeTimes(moe_layers);
  if (options_.record_routing)
    recorder_ = std::make_unique<RoutingRecorder>(moe_layers, config_.top_k);
  const MoeContext context{transport_.rank(), selector_.get(), exchange_.get(),
                           recorder_.get(),   &times_,         !options_.reference_backend};
  const Footprint need = footprint(config_, *checkpoint_, plan_, transport_.rank(), {});
  constexpr std::int64_t kMegabyte = 1'000'000;
  ProgressBar bar("load", "MB", (need.dense + need.experts) / kMegabyte,
                  !options_.progress || transport_.rank() != 0);
  model_ =
      make_transformer(config_, *checkpoint_, *backend_,
                       {plan_, context, options_.rounding,
                        [&bar](std::int64_t bytes) { bar.update(bytes / kMegabyte); }, hashes});
}

void Deployment::reset_counters() {
  exchange_->reset_counters();
  std::fill(times_.layer_seconds.begin(), times_.layer_seconds.end(), 0.0);
  std::fill(times_.compute.begin(), times_.compute.end(), 0.0F);  // layers go on counting steps
}

// Rows are packed where that takes less time than it saves on the wire, by the links' speed now.
// Where ranks share cores packing and unpacking take more than the 2.8 ns a number of a core of
// their own: below this it paid over emulated hosts (docs/exchange.md).
void Deployment::settle_packing() {
  constexpr double kSlowLink = 300e6;  // bits a second
  packing_ = to_string(options_.packing);
  if (options_.packing != Packing::kAuto) return;
  const double rate = options_.reference_backend  // its float32 rows are never packed
                          ? 0
                          : rate_between_nodes(topology_, transport_, wall_seconds);
  options_.packing = rate > 0 && rate < kSlowLink ? Packing::kAll : Packing::kSums;
  packing_ += std::string(": ") + to_string(options_.packing);
  if (rate > 0)
    packing_ += " (" + std::to_string(std::llround(rate / 1e6)) + " Mbit/s a device between nodes)";
}

void Deployment::settle_intra() {
  intra_ = to_string(options_.intra);
  if (options_.intra != Intra::kAuto || topology_.devices() == topology_.nodes()) return;
  const std::string mine = exchange_->intra_trouble();
  const auto troubles = gather_vectors(transport_, std::vector<char>(mine.begin(), mine.end()), 0);
  if (transport_.rank() != 0) return;
  std::string nodes, why;
  for (int node = 0; node < topology_.nodes(); ++node) {
    const auto& trouble = troubles[static_cast<std::size_t>(topology_.first_device(node))];
    if (trouble.empty()) continue;
    nodes += (nodes.empty() ? "" : ", ") + std::to_string(node);
    if (why.empty()) why.assign(trouble.begin(), trouble.end());
  }
  intra_ += nodes.empty() ? ": shared" : ": mpi on node " + nodes + " (" + why + ")";
}

// Which tokens are handed over depends on a step's others; a token's sums must not. They do where
// outputs pass in messages inside nodes, merged a device, and are summed off a grid or beyond its
// bound.
void Deployment::settle_even() {
  even_ = to_string(options_.even);
  if (options_.even != Even::kAuto || topology_.nodes() == 1 ||
      topology_.devices() == topology_.nodes())
    return;
  const bool messages = topology_.devices_on(topology_.node_of(transport_.rank())) > 1 &&
                        (options_.intra == Intra::kMpi || !exchange_->intra_trouble().empty());
  std::vector<std::int64_t> ranks{messages ? 1 : 0};
  transport_.sum(ranks);
  evens_ = options_.reduction == Reduction::kExact || ranks[0] == 0;
  if (!evens_) even_ += ": none (outputs pass in messages inside nodes)";
}

// All ranks must hold the same model and compute with the same kernels, or results would depend on
// where a token lives.
void Deployment::agree(const std::string& weights) const {
  Plan nameless = plan_;  // equal weights may lie in folders of other names
  nameless.model.clear();
  const std::string plan = plan_text(nameless);
  const std::string mine = "model " + fingerprint_ + " with weights " + weights + ", plan " +
                           hex64(hash_bytes(std::as_bytes(std::span(plan)))) + ", backend " +
                           backend_->name();
  const Bytes root = transport_.broadcast(std::as_bytes(std::span(mine)), 0);
  const std::string theirs(reinterpret_cast<const char*>(root.data()), root.size());
  together(transport_, [&] {
    if (mine != theirs)
      fail_input({"this rank and rank 0 differ", mine, theirs,
                  "use the same model folder and plan on every node, and --isa with a set that all "
                  "machines "
                  "have"});
  });
}

}  // namespace gracemoe
