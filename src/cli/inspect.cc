// gracemoe inspect: what a model folder holds, and what each device would hold of it under a plan.
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "metrics/memory.h"
#include "model/checkpoint.h"
#include "model/fingerprint.h"
#include "model/model_config.h"
#include "plan/contiguous.h"
#include "plan/plan.h"
#include "runtime/footprint.h"

namespace gracemoe {
namespace {

struct InspectArguments {
  std::string model, plan, weights = "bf16";
  int sequences = 1, positions = 0;
  double memory_gb = 0;
};

std::string bytes_text(std::int64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

// Whether the largest device fits, with the numbers.
void print_verdict(const std::vector<Footprint>& needs, double memory, const std::string& source) {
  const auto total = [](const Footprint& need) { return static_cast<double>(need.total()); };
  const auto most =
      std::max_element(needs.begin(), needs.end(),
                       [&](const Footprint& a, const Footprint& b) { return total(a) < total(b); });
  if (total(*most) <= memory) {
    fmt::print("fits: in {} a device, {}\n", human_bytes(memory), source);
    return;
  }
  const auto over = std::count_if(needs.begin(), needs.end(),
                                  [&](const Footprint& need) { return total(need) > memory; });
  fmt::print(
      "does not fit: in {} a device, {}: {} of {} devices need more, device {} {} more; more "
      "devices, a plan with fewer copies, --weights int8, fewer --sequences or --positions need "
      "less\n",
      human_bytes(memory), source, over, needs.size(), most - needs.begin(),
      human_bytes(total(*most) - memory));
}

// What the devices of each node need together, where one machine runs them; `here`: bytes that this
// machine has available, or 0.
void print_nodes(const Plan& plan, const std::vector<Footprint>& needs, double here) {
  if (plan.topology.devices() == plan.topology.nodes()) return;
  std::vector<std::int64_t> sums(static_cast<std::size_t>(plan.topology.nodes()), 0);
  for (std::size_t device = 0; device < needs.size(); ++device) {
    auto& sum = sums[static_cast<std::size_t>(plan.topology.node_of(static_cast<int>(device)))];
    sum += needs[device].total() - (sum > 0 ? needs[device].dense : 0);
  }
  fmt::print("a machine for all devices of a node, other weights kept once:");
  for (std::size_t node = 0; node < sums.size(); ++node) {
    const bool fits = static_cast<double>(sums[node]) <= here;
    fmt::print("{} node {} {}{}", node > 0 ? "," : "", node, bytes_text(sums[node]),
               here <= 0 ? "" : (fits ? " (fits here)" : " (does NOT fit here)"));
  }
  fmt::print("\n");
}

// What each device needs of its memory, and whether it has it.
void print_devices(const Plan& plan, const ModelConfig& c, const Checkpoint& checkpoint,
                   const InspectArguments& a) {
  FootprintOptions options;
  options.int8 = a.weights == "int8";
  options.logit_rows = std::min(a.sequences, options.rows);
  const int positions = a.positions > 0 ? a.positions : c.max_positions;
  options.cache_positions = std::int64_t{a.sequences} * positions;
  fmt::print("memory a device, {} weights, with {} sequence{} of {} positions:\n", a.weights,
             a.sequences, a.sequences == 1 ? "" : "s", positions);
  std::vector<Footprint> needs;
  for (int device = 0; device < plan.topology.devices(); ++device)
    needs.push_back(footprint(c, checkpoint, plan, device, options));
  const auto here = static_cast<double>(available_memory());
  const double memory = a.memory_gb > 0 ? a.memory_gb * 1e9 : here;
  if (memory > 0)
    print_verdict(needs, memory,
                  a.memory_gb > 0
                      ? "as --memory-gb says"
                      : "what this machine has available now (--memory-gb: another size)");
  fmt::print("{:>6} {:>5} {:>9} {:>10} {:>13} {:>10} {:>10} {:>10}{}\n", "device", "node",
             "instances", "experts", "other weights", "KV cache", "buffers", "in all",
             memory > 0 ? "  fits" : "");
  for (int device = 0; device < plan.topology.devices(); ++device) {
    const Footprint& need = needs[static_cast<std::size_t>(device)];
    const bool fits = static_cast<double>(need.total()) <= memory;
    fmt::print("{:>6} {:>5} {:>9} {:>10} {:>13} {:>10} {:>10} {:>10}{}\n", device,
               plan.topology.node_of(device), need.experts / expert_bytes(c, options.int8),
               bytes_text(need.experts), bytes_text(need.dense), bytes_text(need.cache),
               bytes_text(need.buffers), bytes_text(need.total()),
               memory > 0 ? (fits ? "  yes" : "  NO") : "");
  }
  print_nodes(plan, needs, here);
}

void print_model(const InspectArguments& a, const ModelConfig& c, const Checkpoint& checkpoint,
                 const std::string& id) {
  const std::int64_t experts =
      expert_bytes(c, false) * c.experts * static_cast<std::int64_t>(c.moe_layers.size());
  fmt::print("{}: {} ({})\n", a.model, c.architecture_name, id);
  fmt::print(
      "  layers {} ({} with experts), hidden {}, heads {} (key heads {}, head size {}), vocabulary "
      "{}, positions {}\n",
      c.layers, c.moe_layers.size(), c.hidden, c.heads, c.kv_heads, c.head_dim, c.vocab,
      c.max_positions);
  if (c.latent.kv_rank > 0)
    fmt::print(
        "  latent attention: latents of {}, rotated keys of {}{}\n", c.latent.kv_rank,
        c.latent.rope_dim,
        c.latent.query_rank > 0 ? fmt::format(", queries through {}", c.latent.query_rank) : "");
  fmt::print("  experts {} a layer, top-{}, width {}; one expert {}\n", c.experts, c.top_k,
             c.expert_width, bytes_text(expert_bytes(c, false)));
  if (c.shared_width > 0) fmt::print("  shared experts of width {} in all\n", c.shared_width);
  fmt::print("  weights {}: experts {}, on every device {}\n", bytes_text(checkpoint.bytes_total()),
             bytes_text(experts), bytes_text(checkpoint.bytes_total() - experts));
  fmt::print("  KV cache {} bytes a token ({} elements x {} layers x 2 bytes)\n",
             with_commas(cache_bytes(c, 2)), cache_elements(c), c.layers);
}

void inspect(const InspectArguments& a) {
  const ModelConfig c = read_model_config(a.model);
  Checkpoint checkpoint(a.model);
  const std::string id = fingerprint(checkpoint, c);
  print_model(a, c, checkpoint, id);
  const int moe_layers = static_cast<int>(c.moe_layers.size());
  Plan plan;
  if (a.plan.empty()) {
    plan = contiguous_plan({a.model, id, c.experts, c.top_k, moe_layers, Topology::grid(1, 1)});
    fmt::print("\non one device: ");
  } else {
    plan = read_plan(a.plan);
    check_plan_fits(plan, {a.model, id, c.experts, c.top_k, moe_layers, plan.topology}, a.plan);
    fmt::print("\nplan {}: {} on {} nodes x devices, {} copies; ", a.plan, plan.preset,
               plan.topology.to_string(), plan.copies());
  }
  print_devices(plan, c, checkpoint, a);
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  auto a = std::make_shared<InspectArguments>();
  CLI::App* command = app.add_subcommand(
      "inspect", "What a model folder holds, and what each device holds of it under a plan");
  command->add_option("--model", a->model, "Hugging Face model folder")->required();
  command->add_option("--plan", a->plan, "plan file (default: all on one device)");
  command->add_option("--weights", a->weights, "bf16 | int8: as a run would keep them")
      ->check(CLI::IsMember({"bf16", "int8"}))
      ->capture_default_str();
  command->add_option("--sequences", a->sequences, "sequences held at once, for the KV cache")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--positions", a->positions,
                   "positions of each (default: all that the model has)")
      ->check(CLI::Range(1, 1 << 30));
  command
      ->add_option(
          "--memory-gb", a->memory_gb,
          "memory of a device, in 10^9 bytes: does it fit? (default: what this machine has "
          "available)")
      ->check(number_above(0));
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { inspect(*a); }); };
  });
}

}  // namespace gracemoe
