#include <array>
#include <charconv>

#include "base/error.h"
#include "planner/planner.h"

namespace gracemoe {
namespace {

const char* placement_text(Placement placement) {
  switch (placement) {
    case Placement::kContiguous:
      return "contiguous";
    case Placement::kOccult:
      return "occult (equal shares, greedy by co-activation)";
    case Placement::kHierarchical:
      return "hierarchical (spectral groups: nodes, then devices)";
  }
  return "?";
}

std::string ratio_text(const PlannerOptions& options) {
  switch (options.ratio_policy) {
    case RatioPolicy::kUniform:
      return "uniform";
    case RatioPolicy::kKnee:
      return "knee";
    case RatioPolicy::kFree:
      return "free";
    case RatioPolicy::kFixed: {
      char text[32];
      const auto result = std::to_chars(text, text + sizeof(text), options.ratio);
      return {text, result.ptr};
    }
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
  for (const auto& preset : {preset_contiguous(), preset_occult(), preset_grace()})
    if (name == preset.preset) return preset;
  fail_usage({"preset", "'" + name + "'", "contiguous, occult or grace", ""});
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

std::string describe(const PlannerOptions& options) {
  std::string text = std::string("placement ") + placement_text(options.placement);
  if (options.placement == Placement::kHierarchical)
    text += "; ratio " + ratio_text(options) + "; k-means restarts " +
            std::to_string(options.kmeans_restarts) + "; seed " + std::to_string(options.seed);
  return text + "; replication " + to_string(options.replication);
}

}  // namespace gracemoe
