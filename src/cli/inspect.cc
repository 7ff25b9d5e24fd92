// gracemoe inspect: what a model folder holds, and what each device would hold of it under a plan.
#include <fmt/core.h>

#include "base/progress.h"
#include "cli/commands.h"
#include "model/checkpoint.h"
#include "model/fingerprint.h"
#include "model/model_config.h"
#include "plan/plan.h"

namespace gracemoe {
namespace {

struct InspectArguments {
  std::string model, plan;
};

void print_devices(const Plan& plan, const ModelConfig& c, std::int64_t expert_bytes,
                   std::int64_t shared_bytes) {
  fmt::print("\n{:>6} {:>5} {:>9} {:>12} {:>12}\n", "device", "node", "experts", "expert bytes",
             "in all");
  for (int device = 0; device < plan.topology.devices(); ++device) {
    std::int64_t experts = 0;
    for (std::size_t layer = 0; layer < c.moe_layers.size(); ++layer)
      experts += static_cast<std::int64_t>(plan.experts_on(static_cast<int>(layer), device).size());
    fmt::print("{:>6} {:>5} {:>9} {:>12} {:>12}\n", device, plan.topology.node_of(device), experts,
               human_bytes(static_cast<double>(experts * expert_bytes)),
               human_bytes(static_cast<double>(experts * expert_bytes + shared_bytes)));
  }
}

void inspect(const InspectArguments& a) {
  const ModelConfig c = read_model_config(a.model);
  Checkpoint checkpoint(a.model);
  const std::string id = fingerprint(checkpoint, c);
  const std::int64_t expert_bytes = std::int64_t{3} * c.expert_width * c.hidden * 2;
  const std::int64_t all_experts =
      expert_bytes * c.experts * static_cast<std::int64_t>(c.moe_layers.size());
  const std::int64_t shared_bytes = checkpoint.bytes_total() - all_experts;
  fmt::print("{}: {} ({})\n", a.model, c.architecture_name, id);
  fmt::print(
      "  layers {} ({} with experts), hidden {}, heads {} (key heads {}, head size {}), vocabulary "
      "{}, positions {}\n",
      c.layers, c.moe_layers.size(), c.hidden, c.heads, c.kv_heads, c.head_dim, c.vocab,
      c.max_positions);
  fmt::print("  experts {} a layer, top-{}, width {}; one expert {}\n", c.experts, c.top_k,
             c.expert_width, human_bytes(static_cast<double>(expert_bytes)));
  fmt::print("  weights {}: experts {}, on every device {}\n",
             human_bytes(static_cast<double>(checkpoint.bytes_total())),
             human_bytes(static_cast<double>(all_experts)),
             human_bytes(static_cast<double>(shared_bytes)));
  fmt::print("  KV cache {} a token\n", human_bytes(2.0 * cache_elements(c) * c.layers));
  if (a.plan.empty()) return;
  const Plan plan = read_plan(a.plan);
  check_plan_fits(
      plan, {a.model, id, c.experts, c.top_k, static_cast<int>(c.moe_layers.size()), plan.topology},
      a.plan);
  fmt::print("\nplan {}: {} on {} nodes x devices, {} copies\n", a.plan, plan.preset,
             plan.topology.to_string(), plan.copies());
  print_devices(plan, c, expert_bytes, shared_bytes);
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto a = std::make_shared<InspectArguments>();
  CLI::App* command = app.add_subcommand(
      "inspect", "What a model folder holds, and what each device holds of it under a plan");
  command->add_option("--model", a->model, "Hugging Face model folder")->required();
  command->add_option("--plan", a->plan, "plan file");
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { inspect(*a); }); };
  });
}

}  // namespace gracemoe
