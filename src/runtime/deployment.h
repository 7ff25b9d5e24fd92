// A model spread over the ranks under a plan, ready to run: everything that is made once at
// start-up.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "compute/backend.h"
#include "engine/transformer.h"
#include "exchange/exchange.h"
#include "model/checkpoint.h"
#include "plan/plan.h"
#include "routing/replica_selector.h"

namespace gracemoe {

struct DeploymentOptions {
  std::filesystem::path model;            // Hugging Face folder
  std::filesystem::path plan;             // empty: contiguous
  std::shared_ptr<const Plan> made_plan;  // instead of a file; null: none
  ExchangeKind exchange = ExchangeKind::kHierarchical;
  Reduction reduction = Reduction::kFp32;
  Overlap overlap = Overlap::kNone;
  Intra intra = Intra::kMpi;
  Packing packing = Packing::kSums;
  Even even = Even::kNone;
  RoutingPolicy routing = RoutingPolicy::kTopologyAware;
  bool reference_backend = false;  // plain float32 loops instead of the kernels
  CpuOptions cpu;
  bool record_routing = false;
  WeightRounding rounding = WeightRounding::kRefuse;
  int rows = 512;                    // of a step, for the memory that buffers take
  std::int64_t cache_positions = 0;  // likewise, of the sequences that this rank holds at once
  int logit_rows = 1;                // likewise, of a step, the most that logits are wanted of
  double memory_bytes = 0;  // of this machine, for its ranks together; 0: what is available
  bool progress = false;    // a bar of the bytes that rank 0 loads
};

class Deployment {
 public:
  // Collective over the transport, whose ranks are the topology's devices; both must outlive the
  // deployment. Each rank reads only its own experts, and of what all hold alike the ranks of a
  // machine read a part each and keep one copy. Errors are AgreedError: a damaged model, a plan
  // that does not fit, a machine without the memory for its ranks (before anything is loaded),
  // ranks with other weights or kernels than rank 0.
  Deployment(const DeploymentOptions& options, const Topology& topology, Transport& transport);

  const DeploymentOptions& options() const { return options_; }
  const ModelConfig& config() const { return config_; }
  const std::string& fingerprint() const { return fingerprint_; }
  std::string model_name() const;
  const Plan& plan() const { return plan_; }
  const Topology& topology() const { return topology_; }
  Transport& transport() const { return transport_; }
  const Backend& backend() const { return *backend_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  Transformer& model() { return *model_; }
  // The same of Even::kAuto.
  const std::string& even() const { return even_; }
  // As RunOptions::evened.
  const Topology* evened() const { return evens_ ? &topology_ : nullptr; }
  const ExchangeCounters& counters() const { return exchange_->counters(); }
  const MoeTimes& moe_times() const { return times_; }
  // From zero; what was recorded of the routing stays.
  void reset_counters();
  // Intra as asked for, and on rank 0 what auto became: "auto: shared", "auto: mpi on node 1
  // (why)".
  const std::string& intra() const { return intra_; }
  // What Packing::kAuto came to, and why, behind it; as asked for where it was not.
  const std::string& packing() const { return packing_; }
  // Null unless record_routing.
  const RoutingRecorder* recorder() const { return recorder_.get(); }

 private:
  void read();
  void load(std::shared_ptr<HostMemory> shared, const std::shared_ptr<SharedHashes>& hashes);
  void agree(const std::string& weights) const;
  void settle_intra();
  void settle_packing();
  void settle_even();

  DeploymentOptions options_;
  Topology topology_;
  Transport& transport_;
  ModelConfig config_;
  std::string fingerprint_;
  Plan plan_;
  MoeTimes times_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<ReplicaSelector> selector_;
  std::unique_ptr<Exchange> exchange_;
  std::string intra_, packing_, even_;
  bool evens_ = false;  // steps are to say where their rows lie unevenly
  std::unique_ptr<RoutingRecorder> recorder_;
  std::unique_ptr<Transformer> model_;
};

}  // namespace gracemoe
