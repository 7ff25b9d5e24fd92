#include "routing/instance_table.h"
#include "routing/policies.h"

namespace gracemoe {
namespace {

class WeightedRoundRobinSelector final : public ReplicaSelector {
 public:
  explicit WeightedRoundRobinSelector(const Plan& plan) : table_(plan, false) {}
  int device_for(int layer, int expert, int, std::uint64_t token) const override {
    if (!table_.replicated(layer, expert)) return table_.primary(layer, expert);
    return pick(table_.all(layer, expert), draw(token, layer, expert));
  }

 private:
  InstanceTable table_;
};

}  // namespace

std::unique_ptr<ReplicaSelector> make_weighted_round_robin_selector(const Plan& plan) {
  return std::make_unique<WeightedRoundRobinSelector>(plan);
}

}  // namespace gracemoe
