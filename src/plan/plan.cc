#include "plan/plan.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/checkpoint.h"

namespace gracemoe {
namespace {

std::string layer_name(const std::string& name, std::size_t layer) {
  return name + ": layer " + std::to_string(layer);
}

[[noreturn]] void refuse(const std::string& what, const std::string& got,
                         const std::string& wanted) {
  fail_input({what, got, wanted, "make the plan again with gracemoe plan"});
}

std::string range_text(int count) {
  return "0 to " + std::to_string(count - 1);
}

// `last_user[d]` is the expert that last put an instance on device d (a mark that needs no
// clearing).
void check_expert(const std::vector<Instance>& instances, int expert, const std::string& what,
                  std::vector<int>& last_user) {
  const int devices = static_cast<int>(last_user.size());
  if (instances.empty()) refuse(what, "no device", "at least one device");
  for (const Instance& instance : instances) {
    if (instance.device < 0 || instance.device >= devices)
      refuse(what, "device " + std::to_string(instance.device), "devices " + range_text(devices));
    int& user = last_user[static_cast<std::size_t>(instance.device)];
    if (user == expert)
      refuse(what, "device " + std::to_string(instance.device) + " twice",
             "at most one instance a device");
    user = expert;
    if (!(instance.weight > 0) || !std::isfinite(instance.weight))
      refuse(what, "polling weight " + std::to_string(instance.weight),
             "a positive, finite weight");
  }
}

void check_finite(std::initializer_list<double> figures, const std::string& what) {
  for (const double figure : figures)
    if (!std::isfinite(figure))
      fail_input({what, std::isnan(figure) ? "NaN" : "infinity", "finite numbers",
                  "plan with figures of the size that real clusters and steps have"});
}

void check_notes(const LayerPlan& layer, const std::string& what, int devices) {
  for (const double note : {layer.ratio, layer.skew, layer.nodes_visited})
    if (!std::isfinite(note)) refuse(what, "NaN or infinity among its notes", "finite numbers");
  check_finite({layer.predicted_time.cross_node_s, layer.predicted_time.intra_node_s,
                layer.predicted_time.compute_s},
               what + ": predicted_time_s");
  for (const RatioPoint& p : layer.ratio_curve)
    check_finite({p.ratio, p.deviation, p.utilisation}, what + ": ratio_curve");
  const std::vector<double>& load = layer.predicted_load;
  if (!load.empty() && load.size() != static_cast<std::size_t>(devices))
    refuse(what + ": predicted_load", std::to_string(load.size()) + " numbers",
           std::to_string(devices) + ", one a device");
  if (!std::all_of(load.begin(), load.end(), [](double v) { return std::isfinite(v) && v >= 0; }))
    refuse(what + ": predicted_load", "a negative or infinite number, or NaN",
           "finite numbers of at least 0");
}

std::string shape_text(int layers, int experts, int top_k) {
  return std::to_string(layers) + " MoE layers of " + std::to_string(experts) + " experts, top-" +
         std::to_string(top_k);
}

std::string cluster_text(const Topology& topology) {
  return std::to_string(topology.devices()) +
         (topology.devices() == 1 ? " device (" : " devices (") + topology.to_string() + ")";
}

}  // namespace

std::vector<int> Plan::experts_on(int layer, int device) const {
  GM_CHECK(layer >= 0 && static_cast<std::size_t>(layer) < layers.size(), "plan: layer");
  std::vector<int> found;
  const auto& experts = layers[static_cast<std::size_t>(layer)].experts;
  for (std::size_t e = 0; e < experts.size(); ++e)
    if (std::any_of(experts[e].begin(), experts[e].end(),
                    [&](const Instance& i) { return i.device == device; }))
      found.push_back(static_cast<int>(e));
  return found;
}

std::vector<int> Plan::instances_held() const {
  std::vector<int> held(static_cast<std::size_t>(topology.devices()));
  for (const LayerPlan& layer : layers)
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances) ++held[static_cast<std::size_t>(i.device)];
  return held;
}

int Plan::copies() const {
  std::size_t copies = 0;
  for (const LayerPlan& layer : layers)
    for (const auto& instances : layer.experts) copies += instances.size() - 1;
  return static_cast<int>(copies);
}

void validate(const Plan& plan, const std::string& name) {
  if (plan.layers.empty()) refuse(name, "no layer", "at least one MoE layer");
  for (const MemoryPoint& p : plan.memory_curve)
    check_finite({p.extra_memory, p.nodes_visited, p.load_max_over_mean, p.layer_time_s},
                 name + ": memory_curve");
  std::vector<int> last_user(static_cast<std::size_t>(plan.topology.devices()));
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    const LayerPlan& layer = plan.layers[l];
    if (layer.experts.size() != static_cast<std::size_t>(plan.num_experts))
      refuse(layer_name(name, l), std::to_string(layer.experts.size()) + " experts",
             std::to_string(plan.num_experts) + ", every expert once");
    std::fill(last_user.begin(), last_user.end(), -1);
    for (std::size_t e = 0; e < layer.experts.size(); ++e)
      check_expert(layer.experts[e], static_cast<int>(e),
                   layer_name(name, l) + ", expert " + std::to_string(e), last_user);
    check_notes(layer, layer_name(name, l), plan.topology.devices());
  }
}

void check_plan_fits(const Plan& plan, const PlanTarget& target, const std::string& name) {
  const std::string replan = "make a plan for it with gracemoe plan, from a trace of that model";
  const int layers = static_cast<int>(plan.layers.size());
  if (plan.num_experts != target.num_experts || plan.top_k != target.top_k ||
      layers != target.layers)
    fail_input(
        {name + ": this plan is for another model",
         plan.model + " with " + shape_text(layers, plan.num_experts, plan.top_k),
         target.model + " with " + shape_text(target.layers, target.num_experts, target.top_k),
         replan});
  if (other_checkpoint(plan, target.fingerprint))
    fail_input({name + ": this plan is for another checkpoint",
                plan.model + ", fingerprint " + plan.fingerprint,
                target.model + ", fingerprint " + target.fingerprint, replan});
  const int have = target.topology.devices();
  const int planned = plan.topology.devices();
  if (planned != have)
    fail_input({name + ": plan is for " + cluster_text(plan.topology) + ", this run has " +
                    std::to_string(have) + (have == 1 ? " rank" : " ranks"),
                "", "",
                "start " + std::to_string(planned) + (planned == 1 ? " rank" : " ranks") +
                    ", or make a plan for " + target.topology.to_string()});
  if (plan.topology != target.topology)
    fail_input({name + ": plan is for nodes of " + plan.topology.to_string() +
                    " devices, this run's nodes are " + target.topology.to_string(),
                "", "",
                "declare the nodes with --topology " + plan.topology.to_string() +
                    " if that is what they are, or make a plan for " +
                    target.topology.to_string()});
}

}  // namespace gracemoe
