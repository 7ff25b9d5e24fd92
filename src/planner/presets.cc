#include <array>
#include <charconv>

#include <fmt/format.h>

#include "base/error.h"
#include "planner/planner.h"

namespace gracemoe {
namespace {

const char* placement_text(Placement placement) {
  switch (placement) {
    case Placement::kContiguous:
      return "contiguous";
    case Placement::kEplb:
      return "eplb (by load, redundant slots)";
    case Placement::kC2r:
      return "c2r (equal shares, lists of collaborators)";
    case Placement::kBalance:
      return "balance (by load, counts and places together)";
    case Placement::kSearch:
      return "search (nodes visited on the trace, work bounded)";
    case Placement::kOccult:
      return "occult (equal shares, greedy by co-activation)";
    case Placement::kHierarchical:
      return "hierarchical (spectral groups: nodes, then devices)";
  }
  return "?";
}

std::string number_text(double value) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof(text), value);
  return {text, result.ptr};
}

std::string ratio_text(const PlannerOptions& options) {
  switch (options.ratio_policy) {
    case RatioPolicy::kUniform:
      return "uniform";
    case RatioPolicy::kKnee:
      return "knee";
    case RatioPolicy::kFree:
      return "free";
    case RatioPolicy::kFixed:
      return number_text(options.ratio);
  }
  return "?";
}

}  // namespace

PlannerOptions preset_contiguous() {
  PlannerOptions options;
  options.preset = "contiguous";
  options.placement = Placement::kContiguous;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_eplb() {
  PlannerOptions options;
  options.preset = "eplb";
  options.placement = Placement::kEplb;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_c2r() {
  PlannerOptions options;
  options.preset = "c2r";
  options.placement = Placement::kC2r;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_balance() {
  PlannerOptions options;
  options.preset = "balance";
  options.placement = Placement::kBalance;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_grace_plus() {
  PlannerOptions options;
  options.preset = "grace+";
  options.placement = Placement::kSearch;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_occult() {
  PlannerOptions options;
  options.preset = "occult";
  options.placement = Placement::kOccult;
  options.replication = Replication::kNone;
  return options;
}

PlannerOptions preset_grace() {
  PlannerOptions options;
  options.preset = "grace";
  options.placement = Placement::kHierarchical;
  options.ratio_policy = RatioPolicy::kKnee;
  options.replication = Replication::kDynamic;
  return options;
}

PlannerOptions preset_by_name(const std::string& name) {
  for (const auto& preset : {preset_contiguous(), preset_eplb(), preset_c2r(), preset_occult(),
                             preset_grace(), preset_balance(), preset_grace_plus()})
    if (name == preset.preset) return preset;
  fail_usage(
      {"preset", "'" + name + "'", "contiguous, eplb, c2r, occult, grace, balance or grace+", ""});
}

void set_ratio(PlannerOptions& options, const std::string& text) {
  static constexpr std::array kNames{std::pair{"uniform", RatioPolicy::kUniform},
                                     std::pair{"knee", RatioPolicy::kKnee},
                                     std::pair{"free", RatioPolicy::kFree}};
  options.ratio = 0;
  for (const auto& [name, policy] : kNames) {
    if (text != name) continue;
    options.ratio_policy = policy;
    return;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0 && value <= 1))
    fail_usage(
        {"ratio", "'" + text + "'", "uniform, knee, free, or a number above 0 and up to 1", ""});
  options.ratio_policy = RatioPolicy::kFixed;
  options.ratio = value;
}

Replication parse_replication(const std::string& text) {
  for (const Replication kind : {Replication::kNone, Replication::kFixed, Replication::kDynamic})
    if (text == to_string(kind)) return kind;
  fail_usage({"replication", "'" + text + "'", "none, fixed or dynamic", ""});
}

const char* to_string(Replication replication) {
  switch (replication) {
    case Replication::kNone:
      return "none";
    case Replication::kFixed:
      return "fixed";
    case Replication::kDynamic:
      return "dynamic";
  }
  return "?";
}

EplbPolicy parse_eplb_policy(const std::string& text) {
  if (text == "auto") return EplbPolicy::kAuto;
  if (text == "hierarchical") return EplbPolicy::kHierarchical;
  if (text == "global") return EplbPolicy::kGlobal;
  fail_usage({"EPLB policy", "'" + text + "'", "auto, hierarchical or global", ""});
}

namespace {

std::string slots_text(const PlannerOptions& o) {
  std::string text = "; memory budget " + fmt::format("{:.6g}", o.memory_budget);
  if (o.expert_groups > 0) text += "; expert groups " + std::to_string(o.expert_groups);
  if (o.placement != Placement::kEplb) return text + "; seed " + std::to_string(o.seed);
  static constexpr std::array kNames{"auto", "hierarchical", "global"};
  return text + "; policy " + kNames[static_cast<std::size_t>(o.eplb_policy)];
}

std::string search_text(const PlannerOptions& o) {
  std::string text = "; memory budget " + fmt::format("{:.6g}", o.memory_budget) +
                     "; max/mean at most " + number_text(o.balance_bound) + " of " +
                     (o.balance_experts ? "experts used" : "tokens") + "; effort " +
                     number_text(o.effort) + "; seed " + std::to_string(o.seed);
  if (o.same_slots) text += "; same slots on every device and layer";
  if (o.time_limit_s > 0) text += "; time limit " + number_text(o.time_limit_s) + " s";
  return text;
}

}  // namespace

std::string describe(const PlannerOptions& options) {
  std::string text = std::string("placement ") + placement_text(options.placement);
  if (options.placement == Placement::kSearch) return text + search_text(options);
  if (options.placement == Placement::kEplb || options.placement == Placement::kBalance)
    return text + slots_text(options);
  if (options.placement == Placement::kHierarchical)
    text += "; ratio " + ratio_text(options) + "; k-means restarts " +
            std::to_string(options.kmeans_restarts) + "; seed " + std::to_string(options.seed);
  return text + "; replication " + to_string(options.replication);
}

}  // namespace gracemoe
