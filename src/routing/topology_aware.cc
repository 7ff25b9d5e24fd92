#include <algorithm>

#include "routing/instance_table.h"
#include "routing/policies.h"

namespace gracemoe {
namespace {

class TopologyAwareSelector final : public ReplicaSelector {
 public:
  explicit TopologyAwareSelector(const Plan& plan) : table_(plan, true), topology_(plan.topology) {}
  int device_for(int layer, int expert, int home, std::uint64_t token) const override {
    if (!table_.replicated(layer, expert)) return table_.primary(layer, expert);
    const auto near = table_.on_node(layer, expert, topology_.node_of(home));
    if (near.devices.size() == 1) return near.devices.front();
    if (std::find(near.devices.begin(), near.devices.end(), home) != near.devices.end())
      return home;
    return pick(near.devices.empty() ? table_.all(layer, expert) : near,
                draw(token, layer, expert));
  }

 private:
  InstanceTable table_;
  Topology topology_;
};

}  // namespace

std::unique_ptr<ReplicaSelector> make_topology_aware_selector(const Plan& plan) {
  return std::make_unique<TopologyAwareSelector>(plan);
}

}  // namespace gracemoe
