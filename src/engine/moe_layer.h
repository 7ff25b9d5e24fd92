// One mixture-of-experts layer: gate, pick of the instances, dispatch, this device's experts,
// combine.
#pragma once
#include <memory>
#include <vector>

#include "compute/backend.h"
#include "engine/feed_forward.h"
#include "engine/mlp.h"
#include "engine/router.h"
#include "engine/routing_recorder.h"
#include "exchange/exchange.h"
#include "routing/replica_selector.h"

namespace gracemoe {

// Times of this device, filled by the MoE layers. compute[step * layers + layer] is CPU seconds of
// the step's expert products there: from all devices' lists follows who waited for whom.
struct MoeTimes {
  std::vector<double> layer_seconds;  // [moe layers] wall time inside each
  std::vector<float> compute;         // [steps, moe layers]
};

// What the MoE layers of a model share; all members outlive the model.
struct MoeContext {
  int device = 0;
  const ReplicaSelector* selector = nullptr;
  Exchange* exchange = nullptr;
  RoutingRecorder* recorder = nullptr;  // may be null
  MoeTimes* times = nullptr;            // may be null
  // Weighted outputs are summed on a grid (docs/numerics.md). Not for the float32 reference.
  bool sum_on_grid = true;
};

struct MoeLayerWeights {
  std::unique_ptr<Linear> gate;          // [experts, hidden], float32 products
  std::vector<int> local_experts;        // ids of the experts on this device, ascending
  std::unique_ptr<ExpertGroup> experts;  // in the order of local_experts
  std::unique_ptr<Mlp> shared;           // computed for every token at its home; may be null
};

std::unique_ptr<FeedForwardBlock> make_moe_layer(int moe_layer, int hidden,
                                                 const RouterOptions& router,
                                                 MoeLayerWeights weights, const Backend& backend,
                                                 const MoeContext& context);

}  // namespace gracemoe
