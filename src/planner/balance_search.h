// Local search for balance_layer(): a placement as slots, and the steps that make its busiest
// device less busy.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace gracemoe {

// Fixed for a search. Slots are numbered device by device.
struct SlotShape {
  std::vector<std::size_t> first_slot;      // [devices + 1]
  std::vector<std::size_t> device_of_slot;  // [slots]
  std::vector<double> seconds;              // [slots] for a unit of load on the slot's device
  std::size_t devices() const { return first_slot.size() - 1; }
  std::size_t slots() const { return device_of_slot.size(); }
};
// speed [devices]; empty: 1 each.
SlotShape slot_shape(std::span<const int> slots_per_device, std::span<const double> speed);

constexpr int kEmptySlot = -1;

// Which expert is in which slot, and what follows from it.
struct Placement {
  std::vector<int> expert;          // [slots] or kEmptySlot
  std::vector<int> count;           // [experts]
  std::vector<double> share;        // [experts] load of one instance
  std::vector<double> next_share;   // [experts] with one more
  std::vector<double> rise;         // [experts] of share, with one less
  std::vector<double> cost;         // [devices] seconds
  std::vector<std::uint64_t> held;  // [devices, words] bits: the experts of a device
  std::size_t busiest = 0;          // device; the first of several

  double max_cost() const { return cost[busiest]; }
};

class BalanceSearch {
 public:
  // Both must outlive the search.
  BalanceSearch(const SlotShape& shape, std::span<const double> load);

  // expert_of_slot has every expert, none twice on a device.
  Placement place(std::vector<int> expert_of_slot) const;

  // Both return the effort spent, in evaluated candidates.
  // Steps that each make the busiest device less busy and bring no other to its level, until there
  // is none, the busiest is at `goal`, or the effort is spent.
  std::int64_t descend(Placement& placement, double goal, std::int64_t effort);
  // Descents from disturbed placements as long as the effort lasts; ends with the best.
  std::int64_t explore(Placement& placement, double goal, std::int64_t effort, std::uint64_t seed);

 private:
  struct Step {
    bool found = false, is_swap = false;
    std::size_t a = 0, b = 0;  // slots; a swap exchanges them, else slot a gets `expert`
    int expert = kEmptySlot;
    double cost = 0;    // the largest of the changed devices' afterwards; only less is better
    double relief = 0;  // among equals: by how much the new copy unburdens its expert's others
  };
  bool holds(const Placement& p, std::size_t device, int expert) const;
  bool can_swap(const Placement& p, std::size_t a, std::size_t b) const;
  bool can_copy(const Placement& p, std::size_t slot, int expert) const;
  void flip(Placement& p, std::size_t device, int expert) const;
  void count(Placement& p, int expert, int change) const;
  double device_cost(const Placement& p, std::size_t device) const;
  void prepare_others(const Placement& p);
  void prepare_slots(const Placement& p);
  void prepare_slots(const Placement& p, std::size_t device);
  Step best_step(const Placement& p, double goal);
  void consider_swaps(const Placement& p, Step& best);
  void consider_copies(const Placement& p, Step& best);
  void consider_drops(const Placement& p, Step& best);
  void apply(Placement& p, const Step& step) const;
  void disturb(Placement& p, std::uint64_t random) const;

  const SlotShape& shape_;
  std::span<const double> load_;
  std::size_t words_;       // of a device's bits
  std::int64_t spent_ = 0;  // by all descents
  // Of the placement last prepared.
  std::vector<double> slot_share_;  // [slots] 0 for an empty one
  // Were the slot's instance not there:
  std::vector<double> freed_cost_;   // [slots] its device
  std::vector<double> others_cost_;  // [slots] its expert's busiest other device; 0 for an empty
                                     // slot, infinite for an only instance
  struct TopTwo {
    double first = 0, second = 0;
    std::size_t slot = 0;  // of first
  };
  std::vector<TopTwo> raised_;  // [experts] devices with an instance, were there one less
};

}  // namespace gracemoe
