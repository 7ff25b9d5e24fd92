#include "interop/convert_placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/quantities.h"
#include "base/safetensors.h"
#include "interop/padding.h"
#include "interop/sglang.h"
#include "interop/tensorrt_llm.h"
#include "interop/vllm.h"
#include "interop/vllm_ascend.h"
#include "plan/checkpoint.h"

namespace gracemoe {
namespace {

// What is being converted. Of a plan, what other systems' files cannot say stays beside it.
struct Source {
  SlotPlacement placement;
  std::optional<Plan> plan;
  std::string name;
};

Source read_source(const ConvertOptions& options, Format from) {
  if (options.inputs.size() > 1)
    fail_usage({"inputs", std::to_string(options.inputs.size()) + " placements", "one", ""});
  Source source;
  source.name = options.inputs[0].string();
  if (from == Format::kPlan) {
    source.plan = read_plan(options.inputs[0]);
    source.placement = from_plan(*source.plan);
    return source;
  }
  const PlacementHints hints{options.num_experts, options.layers, options.choice};
  const std::string text = read_file(options.inputs[0]);
  switch (from) {
    case Format::kSglang:
      source.placement = read_sglang_placement(text, source.name, hints);
      break;
    case Format::kTrtllm:
      source.placement = read_trtllm_placement(text, source.name, hints);
      break;
    case Format::kVllmMapping:
      source.placement = read_vllm_mapping(text, source.name, hints);
      break;
    case Format::kVllmExpertMap:
      source.placement = read_vllm_expert_map(text, source.name, hints);
      break;
    case Format::kVllmExpertRanks:
      source.placement = read_vllm_expert_ranks(text, source.name, hints);
      break;
    default:
      source.placement = read_vllm_ascend(text, source.name, hints);
      break;
  }
  return source;
}

void say_read(const Source& source, Format from, Lines& lines) {
  const SlotPlacement& p = source.placement;
  const int slots = p.slots_a_device();
  const std::string spread =
      p.devices == 0 ? counted(slots, "slot")
                     : (slots > 0 ? counted(std::int64_t{slots} * p.devices, "slot")
                                  : fmt::format("{:.1f} slots on average",
                                                static_cast<double>(p.instances()) /
                                                    static_cast<double>(p.layers.size()))) +
                           " on " + counted(p.devices, "device");
  lines.push_back(fmt::format("read {} ({}): {}, {}, {} a layer", source.name, info(from).name,
                              counted(static_cast<std::int64_t>(p.layers.size()), "MoE layer"),
                              counted(p.num_experts, "expert"), spread));
  say_layers(p.numbers, lines);
}

// The cluster: said, or the plan's, or one node of as many devices as the file names.
std::optional<Topology> cluster_of(const ConvertOptions& options, const Source& source,
                                   Lines& lines) {
  if (source.plan) {
    if (options.topology && *options.topology != source.plan->topology)
      fail_usage({"topology", options.topology->to_string(),
                  source.plan->topology.to_string() + ", the plan's", "leave --topology out"});
    return source.plan->topology;
  }
  if (options.topology) return options.topology;
  if (source.placement.devices == 0) return std::nullopt;
  lines.push_back("assumed: one node (--topology says otherwise)");
  return Topology::grid(1, source.placement.devices);
}

Topology need_cluster(const std::optional<Topology>& topology, const std::string& why) {
  if (!topology)
    fail_usage({"cluster", "no size", "--nodes N --devices G, or --topology NxG",
                "the file does not say which slots share a device, and " + why + " must know"});
  return *topology;
}

// The trace or the statistics to pad by.
struct Evidence {
  std::optional<RoutingTrace> trace;
  std::optional<RoutingStatistics> statistics;
  PaddingEvidence view() const {
    return {trace ? &*trace : nullptr, statistics ? &*statistics : nullptr};
  }
};

Evidence read_evidence(const ConvertOptions& options) {
  Evidence evidence;
  if (options.evidence.empty()) return evidence;
  const Format format = detect_format(options.evidence);
  if (format == Format::kTrace)
    evidence.trace = read_trace(options.evidence);
  else if (format == Format::kStats)
    evidence.statistics = read_statistics(options.evidence);
  else
    fail_input({options.evidence.string(), info(format).name, "a routing trace or statistics",
                "convert it first (--to trace or --to stats)"});
  return evidence;
}

void warn_of_other_checkpoint(const ConvertOptions& options, const Source& source,
                              const Evidence& evidence, Lines& lines) {
  const auto warn = [&](const std::string& file, const std::string& model,
                        const std::string& fingerprint) {
    const std::string warning =
        checkpoint_warning(*source.plan, source.name, file, model, fingerprint);
    if (!warning.empty()) lines.push_back(warning);
  };
  if (!source.plan) return;
  warn("the model folder", options.model, options.fingerprint);
  const std::string file = options.evidence.string();
  if (evidence.trace) warn(file, evidence.trace->model, evidence.trace->fingerprint);
  if (evidence.statistics) warn(file, evidence.statistics->model, evidence.statistics->fingerprint);
}

void pad(const ConvertOptions& options, const Topology& topology, Source& source, Lines& lines) {
  SlotPlacement& placement = source.placement;
  const std::int64_t before = placement.instances();
  const Evidence evidence = read_evidence(options);
  warn_of_other_checkpoint(options, source, evidence, lines);
  const PaddingCost cost = pad_slots(placement, topology, options.slots, evidence.view());
  if (cost.added == 0) {
    lines.push_back("padding: none, every device has the same number of slots");
    return;
  }
  const std::string by = evidence.trace        ? "by the node visits they save on the trace"
                         : evidence.statistics ? "by load per instance"
                                               : "by fewest instances; --trace FILE chooses better";
  std::string line = fmt::format(
      "padding: {} a device, {} a layer: {} added to {} over all layers, {}: {:+.1f}% expert "
      "memory",
      counted(cost.slots_a_device, "slot"),
      with_commas(std::int64_t{cost.slots_a_device} * placement.devices),
      counted(cost.added, "further instance"), with_commas(before), by,
      100.0 * static_cast<double>(cost.added) / static_cast<double>(before));
  if (options.expert_bytes > 0)
    line +=
        ", " +
        human_bytes(static_cast<double>(cost.added) * static_cast<double>(options.expert_bytes)) +
        " over all devices";
  lines.push_back(line);
}

bool weights_differ(const Plan& plan) {
  for (const LayerPlan& layer : plan.layers)
    for (const auto& instances : layer.experts)
      for (const Instance& instance : instances)
        if (std::abs(instance.weight - instances[0].weight) > 1e-12 * instances[0].weight)
          return true;
  return false;
}

// Experts whose first instance is not the one in the lowest slot.
std::int64_t primaries_moved(const Plan& plan) {
  std::int64_t moved = 0;
  for (const LayerPlan& layer : plan.layers)
    for (const auto& instances : layer.experts)
      moved += std::any_of(instances.begin(), instances.end(),
                           [&](const Instance& i) { return i.device < instances[0].device; });
  return moved;
}

void say_lost_of_plan(const Plan& plan, Format to, Lines& lines) {
  std::vector<std::string> lost;
  if (weights_differ(plan)) lost.push_back("polling weights (the runtime shares its own way)");
  if (const std::int64_t moved = primaries_moved(plan); moved > 0)
    lost.push_back("which instance is the primary, for " + counted(moved, "expert"));
  lost.push_back(to == Format::kVllmAscend || to == Format::kVllmExpertRanks
                     ? "the nodes of " + plan.topology.to_string()
                     : "the topology " + plan.topology.to_string() + " (start " +
                           counted(plan.topology.devices(), "rank") + ", node by node)");
  if (!plan.topology.uniform())
    lost.push_back("that nodes differ in size (most runtimes want them equal)");
  lost.push_back("what the planner expected and how it was set");
  std::string line = "not carried:";
  for (std::size_t i = 0; i < lost.size(); ++i) line += (i == 0 ? " " : "; ") + lost[i];
  lines.push_back(line);
}

int top_k_of(const ConvertOptions& options) {
  if (options.top_k > 0) return options.top_k;
  if (!options.evidence.empty()) {
    const Evidence evidence = read_evidence(options);
    return evidence.trace ? evidence.trace->top_k : evidence.statistics->top_k;
  }
  fail_usage({"top_k", "nothing", "--top-k K, the experts that a token chooses",
              "a plan says it, and the input does not"});
}

void write_as_plan(const ConvertOptions& options, const Source& source, const Topology& topology,
                   Format from, Lines& lines) {
  PlanFacts facts{topology, top_k_of(options), options.model, options.fingerprint, info(from).name};
  if (facts.top_k > source.placement.num_experts)
    fail_usage({"top_k", std::to_string(facts.top_k),
                "at most " + std::to_string(source.placement.num_experts) + ", the experts", ""});
  FoldedSlots folded;
  const Plan plan = to_plan(source.placement, facts, &folded);
  write_plan(options.out, plan);
  if (folded.slots > 0)
    lines.push_back("folded: " + counted(folded.slots, "further slot") +
                    " of an expert that its device held already, kept as polling weight");
  lines.push_back(fmt::format("wrote {} (plan): {} on {} (nodes x devices), {} copies",
                              options.out.string(), counted(plan.num_experts, "expert"),
                              topology.to_string(), plan.copies()));
  lines.push_back("not carried: the order of the slots on a device");
}

// Only instances that a token's expert is first sought at; the format has no copies.
std::int64_t drop_copies(Source& source) {
  if (source.plan) {
    for (LayerPlan& layer : source.plan->layers)
      for (auto& instances : layer.experts) instances.resize(1);
    const std::int64_t before = source.placement.instances();
    source.placement = from_plan(*source.plan);
    return before - source.placement.instances();
  }
  std::int64_t dropped = 0;
  for (auto& layer : source.placement.layers) {
    std::vector<bool> seen(static_cast<std::size_t>(source.placement.num_experts));
    for (auto& device : layer)
      dropped += static_cast<std::int64_t>(std::erase_if(device, [&](int expert) {
        const bool again = seen[static_cast<std::size_t>(expert)];
        seen[static_cast<std::size_t>(expert)] = true;
        return again;
      }));
  }
  return dropped;
}

void keep_layer(const ConvertOptions& options, SlotPlacement& placement) {
  if (options.layer < 0) return;
  const auto layer = static_cast<std::size_t>(options.layer);
  if (layer >= placement.layers.size())
    fail_usage({"--layer", std::to_string(layer),
                "a MoE layer from 0 to " + std::to_string(placement.layers.size() - 1), ""});
  const SlotPlacement::Layer kept = placement.layers[layer];
  std::fill(placement.layers.begin(), placement.layers.end(), kept);
}

std::string text_of(const SlotPlacement& placement, const ConvertOptions& options, Format to,
                    const std::string& name) {
  const auto numbers = [&] {
    return numbers_to_write(options.choice, placement.numbers,
                            static_cast<int>(placement.layers.size()));
  };
  switch (to) {
    case Format::kSglang:
      return sglang_placement_text(placement, numbers());
    case Format::kTrtllm:
      return trtllm_placement_text(placement, numbers());
    case Format::kVllmMapping:
      return vllm_mapping_text(placement);
    case Format::kVllmExpertMap:
      return vllm_expert_map_text(placement);
    case Format::kVllmExpertRanks:
      return vllm_expert_ranks_text(placement, name);
    default:
      return vllm_ascend_text(placement);
  }
}

void say_written(const SlotPlacement& placement, const ConvertOptions& options, Format to,
                 Lines& lines) {
  const auto slots = static_cast<std::int64_t>(placement.slots(0).size());
  lines.push_back(fmt::format(
      "wrote {} ({}): {} of {}, {} redundant{}", options.out.string(), info(to).name,
      counted(static_cast<std::int64_t>(placement.layers.size()), "MoE layer"),
      counted(slots, "slot"), slots - placement.num_experts,
      placement.devices > 0 ? ", " + std::to_string(slots / placement.devices) + " a device" : ""));
  if (to != Format::kSglang && to != Format::kTrtllm) return;
  const LayerNumbers numbers = numbers_to_write(options.choice, placement.numbers,
                                                static_cast<int>(placement.layers.size()));
  const std::string all = to == Format::kSglang ? " of " + std::to_string(numbers.hidden) : "";
  lines.push_back("layers: written as the model's " +
                  std::string(numbers.absolute.size() == 1 ? "layer " : "layers ") +
                  layer_list_text(numbers.absolute) + all +
                  " (--moe-layers, --first-dense, --hidden-layers say otherwise)");
}

void write_as_other(const ConvertOptions& options, Source& source,
                    const std::optional<Topology>& topology, Format to, Lines& lines) {
  SlotPlacement& placement = source.placement;
  if (to == Format::kVllmExpertRanks || to == Format::kVllmAscend || options.slots > 0)
    need_cluster(topology, options.slots > 0 ? "--slots" : info(to).name);
  if (topology) deal_to_devices(placement, topology->devices(), source.name);
  if (to == Format::kVllmExpertRanks) {
    if (const std::int64_t dropped = drop_copies(source); dropped > 0)
      lines.push_back("not carried: " + counted(dropped, "further instance") +
                      "; the format has one an expert");
    keep_layer(options, placement);
  } else if (placement.devices > 0) {
    pad(options, *topology, source, lines);
  }
  write_file(options.out, text_of(placement, options, to, source.name));
  say_written(placement, options, to, lines);
  if (source.plan) say_lost_of_plan(*source.plan, to, lines);
}

}  // namespace

void convert_placement(const ConvertOptions& options, Format from, Format to, Lines& lines) {
  Source source = read_source(options, from);
  say_read(source, from, lines);
  const std::optional<Topology> topology = cluster_of(options, source, lines);
  if (to != Format::kPlan) {
    write_as_other(options, source, topology, to, lines);
    return;
  }
  if (source.plan) fail_usage({"from plan to plan", "nothing to convert", "another format", ""});
  const Topology cluster = need_cluster(topology, "a plan");
  deal_to_devices(source.placement, cluster.devices(), source.name);
  write_as_plan(options, source, cluster, from, lines);
}

}  // namespace gracemoe
