// Balance alone: replica counts and placement chosen together, so that the busiest device has as
// little to do as possible. For systems that see loads only, and as a start and a bound for others.
//
// Every instance of an expert serves an equal share (load / instances), as runtimes without polling
// weights have it, and no device holds an expert twice. That can cost: EPLB, which may put two
// copies on a device, has one device serve 2/3 of an expert with three copies, and there are inputs
// where no equal shares are as even. So that the result is never worse than EPLB's, it may then
// carry EPLB's own uneven shares (Shares::kBestKnown); balance_weights() makes shares free.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.h"

namespace gracemoe {

struct BalanceProblem {
  std::span<const double> load;       // [experts] >= 0, finite
  std::vector<int> slots_per_device;  // [devices] instances a device may hold, >= 0
  std::vector<double> speed;  // [devices] > 0, relative; empty: equal. Loads are divided by it.

  // For group-limited routing: `groups` of consecutive experts, the experts of a group on one node
  // with all their instances, equally many groups on each of the `nodes`, which hold equally many
  // devices. 0: experts go anywhere.
  int groups = 0;
  int nodes = 1;

  int experts() const { return static_cast<int>(load.size()); }
  int devices() const { return static_cast<int>(slots_per_device.size()); }
};

// `total` slots dealt out evenly, one more to the first devices where it does not divide.
std::vector<int> even_slots(int total, int devices);

enum class Shares {
  kEqual,      // always; where EPLB's duplicates are better still, so be it
  kBestKnown,  // equal, but EPLB's own shares where only they reach EPLB's balance
};

struct BalanceOptions {
  Shares shares = Shares::kBestKnown;
  // How long to search a layer, in evaluated candidates of about 3 ns. 0: the better of two starts,
  // improved until no single step helps.
  std::int64_t effort = 400'000;
  // The search ends once the busiest device is within this part of the lower bound.
  double tolerance = 1e-4;
  std::uint64_t seed = 0;
};

struct BalanceResult {
  std::vector<std::vector<int>> device_experts;  // [devices] ascending; a slot that no further copy
                                                 // made better use of stays empty
  std::vector<std::vector<double>> share;  // aligned: of the expert's load; sums to 1 an expert
  std::vector<int> count;                  // [experts] instances
  double max_over_mean = 1;  // of load / speed over devices, the mean being the total load over the
                             // total speed; 1 where nothing is loaded
};

// max_over_mean is never above that of the global EPLB, nor with groups above that of the
// hierarchical one, where these are defined: the same number of slots on every device, equal
// speeds; and with Shares::kBestKnown. Deterministic. Errors: kUsage where there are fewer slots
// than experts or groups do not divide, kInput where a load is negative or not finite. Cost: with
// the default effort at most about 2 ms where equal shares reach EPLB's balance, else 5.
BalanceResult balance_layer(const BalanceProblem& problem, const BalanceOptions& options = {});

// Layers side by side; `loads` is [layers, experts], shape.load is ignored. `threads`: 0 is one a
// hardware thread; no influence on the result.
std::vector<BalanceResult> balance_layers(std::span<const double> loads, int layers,
                                          const BalanceProblem& shape,
                                          const BalanceOptions& options = {}, int threads = 0);

// Polling weights that make the busiest device of a placement as little busy as any shares can,
// then the busiest of the others, and so on (the lexicographic optimum, by maximum flows); exact up
// to rounding. Shares of experts that nobody selected are equal. device_experts: [devices], every
// expert of `load` on at least one, none twice on one. Cost: at most devices^2 flows through a
// graph of as many edges as instances; in practice a few flows for every level of load.
BalanceResult balance_weights(const std::vector<std::vector<int>>& device_experts,
                              std::span<const double> load, std::span<const double> speed = {});

// The result's figures for a given placement and shares (sorted by expert here).
BalanceResult balance_of(std::vector<std::vector<int>> device_experts,
                         std::vector<std::vector<double>> share, std::span<const double> load,
                         std::span<const double> speed = {});

// As a plan: weights are the shares, at least 1e-6, since a plan has no weight 0. Instances by
// falling share, then device.
LayerPlan balance_plan(const BalanceResult& result, std::span<const double> load);

}  // namespace gracemoe
