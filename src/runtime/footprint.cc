#include "runtime/footprint.h"

#include <algorithm>
#include <cmath>

#include "compute/backend.h"
#include "model/fingerprint.h"

namespace gracemoe {
namespace {

std::int64_t matrix_bytes(std::int64_t out, std::int64_t in, bool int8) {
  CpuOptions options;
  options.weights = int8 ? "int8" : "bf16";
  return static_cast<std::int64_t>(
      stored_bytes(options, static_cast<int>(out), static_cast<int>(in)));
}

// Routers, norms and the embedding stay bf16 in any case.
bool may_be_int8(const std::string& name, const TensorView& tensor) {
  return tensor.shape.size() == 2 && name.find(".mlp.gate.weight") == name.npos &&
         name != "model.embed_tokens.weight";
}

std::int64_t dense_bytes(const Checkpoint& checkpoint, bool int8) {
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint.all()) {
    if (is_expert_tensor(name)) continue;
    bytes += int8 && may_be_int8(name, *tensor)
                 ? matrix_bytes(tensor->shape[0], tensor->shape[1], true)
                 : 2 * tensor->elements();
  }
  return bytes;
}

// Of all (token, expert) pairs of a step, the part that the device computes in the layer that loads
// it most, by the plan; as much as the others where it does not say.
double busiest_share(const Plan& plan, int device) {
  double most = 1.0 / plan.topology.devices();
  for (const LayerPlan& layer : plan.layers)
    if (!layer.predicted_load.empty())
      most = std::max(most, layer.predicted_load[static_cast<std::size_t>(device)]);
  return most;
}

// Float32 arrays of a step's rows: the residual stream, its norm and a block's output; what
// attention and the gate make of them; rows and sums of the exchange and their messages. Of what
// others send, twice the expected, since steps differ: rows, outputs and messages of them.
// `evened`: tokens may be handed over, which takes a copy of rows and sums, and messages of them.
std::int64_t buffer_bytes(const ModelConfig& c, double load, bool evened,
                          const FootprintOptions& options) {
  const std::int64_t attention =
      c.latent.kv_rank > 0
          ? std::int64_t{c.heads} * (2 * c.latent.kv_rank + 2 * c.head_dim + c.latent.value_dim)
          : std::int64_t{2} * (c.heads + c.kv_heads) * c.head_dim;
  const std::int64_t exchange = std::int64_t{c.hidden} * 6;
  const std::int64_t mlp = std::max(c.dense_width, c.shared_width);
  const std::int64_t row = 4 * (std::int64_t{4} * c.hidden + attention + mlp + c.experts) +
                           options.element_bytes * exchange +
                           (evened ? 2 * (options.element_bytes + 4) * c.hidden : 0);
  const std::int64_t logits = std::int64_t{4} * c.vocab * options.logit_rows;
  const double computed = 2 * load * options.rows * c.top_k;
  const double outputs =
      3.0 * static_cast<double>(options.element_bytes) * c.hidden * std::ceil(computed);
  return row * options.rows + static_cast<std::int64_t>(outputs) + logits;
}

}  // namespace

std::int64_t expert_bytes(const ModelConfig& config, bool int8) {
  return 2 * matrix_bytes(config.expert_width, config.hidden, int8) +
         matrix_bytes(config.hidden, config.expert_width, int8);
}

std::int64_t cache_bytes(const ModelConfig& config, std::int64_t element_bytes) {
  return element_bytes * cache_elements(config) * config.layers;
}

Footprint footprint(const ModelConfig& config, const Checkpoint& checkpoint, const Plan& plan,
                    int device, const FootprintOptions& options) {
  std::int64_t instances = 0;
  for (std::size_t layer = 0; layer < plan.layers.size(); ++layer)
    instances += static_cast<std::int64_t>(plan.experts_on(static_cast<int>(layer), device).size());
  Footprint need;
  need.dense = dense_bytes(checkpoint, options.int8);
  need.experts = instances * expert_bytes(config, options.int8);
  need.cache = cache_bytes(config, options.element_bytes) * options.cache_positions;
  const bool evened =
      plan.topology.nodes() > 1 && plan.topology.devices_on(plan.topology.node_of(device)) > 1;
  need.buffers =
      buffer_bytes(config, plan.topology.devices() * busiest_share(plan, device), evened, options);
  return need;
}

}  // namespace gracemoe
