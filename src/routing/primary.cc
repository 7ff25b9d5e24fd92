#include "routing/instance_table.h"
#include "routing/policies.h"

namespace gracemoe {
namespace {

class PrimarySelector final : public ReplicaSelector {
 public:
  explicit PrimarySelector(const Plan& plan) : table_(plan, false) {}
  int device_for(int layer, int expert, int, std::uint64_t) const override {
    return table_.primary(layer, expert);
  }

 private:
  InstanceTable table_;
};

}  // namespace

std::unique_ptr<ReplicaSelector> make_primary_selector(const Plan& plan) {
  return std::make_unique<PrimarySelector>(plan);
}

}  // namespace gracemoe
