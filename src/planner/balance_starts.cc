#include "planner/balance_starts.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>

namespace gracemoe {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

bool holds(const std::vector<int>& slots, const SlotShape& shape, std::size_t device, int expert) {
  const auto from = slots.begin();
  const auto begin = from + static_cast<std::ptrdiff_t>(shape.first_slot[device]);
  const auto end = from + static_cast<std::ptrdiff_t>(shape.first_slot[device + 1]);
  return std::find(begin, end, expert) != end;
}

// The slots that repeat an expert of their device.
std::vector<std::size_t> repeated(const std::vector<int>& slots, const SlotShape& shape) {
  std::vector<std::size_t> found;
  for (std::size_t s = 0; s < slots.size(); ++s) {
    const auto here = slots.begin() + static_cast<std::ptrdiff_t>(s);
    const auto begin =
        slots.begin() + static_cast<std::ptrdiff_t>(shape.first_slot[shape.device_of_slot[s]]);
    if (slots[s] != kEmptySlot && std::find(begin, here, *here) != here) found.push_back(s);
  }
  return found;
}

// The slot to exchange slot s with, at the least cost; slots.size() if all go above the limit.
std::size_t partner(const std::vector<int>& slots, const SlotShape& shape, std::size_t s,
                    std::span<const double> share, std::span<const double> cost, double limit) {
  std::size_t best = slots.size();
  const std::size_t device = shape.device_of_slot[s];
  const double own = share[at(slots[s])];
  for (std::size_t b = 0; b < slots.size(); ++b) {
    const std::size_t other = shape.device_of_slot[b];
    if (other == device || slots[b] == kEmptySlot) continue;
    const double more = share[at(slots[b])] - own;
    const double worst = std::max(cost[device] + more, cost[other] - more);
    if (worst > limit || (best < slots.size() && worst == limit)) continue;
    if (holds(slots, shape, other, slots[s]) || holds(slots, shape, device, slots[b])) continue;
    best = b;
    limit = worst;
  }
  return best;
}

// Copies to whom they help most, as EPLB, but no more than devices.
std::vector<int> greedy_counts(std::span<const double> load, const SlotShape& shape) {
  int usable = 0;
  for (std::size_t d = 0; d < shape.devices(); ++d)
    if (shape.first_slot[d] < shape.first_slot[d + 1]) ++usable;
  std::vector<int> count(load.size(), 1);
  std::priority_queue<std::pair<double, int>> heap;
  for (std::size_t e = 0; e < load.size(); ++e) heap.emplace(load[e], -static_cast<int>(e));
  for (std::size_t spare = shape.slots() - load.size(); spare > 0 && !heap.empty();) {
    const std::size_t e = at(-heap.top().second);
    heap.pop();
    if (count[e] == usable) continue;
    ++count[e];
    --spare;
    heap.emplace(load[e] / count[e], -static_cast<int>(e));
  }
  return count;
}

std::vector<int> by_load(std::span<const double> load) {
  std::vector<int> order(load.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return load[at(a)] < load[at(b)]; });
  return order;
}

// How many copies of an expert of load w bring each below the goal beside `each` of the lightest;
// 0 where they run out of light experts or of devices.
std::size_t copies_beside(double w, std::span<const double> lightest, std::size_t each,
                          std::size_t devices, double goal) {
  for (std::size_t c = 1; c <= devices && c * each <= lightest.size(); ++c) {
    const auto beside = lightest.subspan((c - 1) * each, each);
    if (std::accumulate(beside.begin(), beside.end(), w / static_cast<double>(c)) <= goal) return c;
  }
  return 0;
}

}  // namespace

std::vector<int> eplb_start(const EplbLayer& layer, std::span<const double> load,
                            const SlotShape& shape) {
  std::vector<int> slots = layer.expert_of_slot;
  std::vector<double> cost = slot_loads(layer, load, static_cast<int>(shape.devices()));
  const double limit = *std::max_element(cost.begin(), cost.end());
  std::vector<double> share;
  for (std::size_t e = 0; e < load.size(); ++e) share.push_back(load[e] / layer.count[e]);
  for (const std::size_t s : repeated(slots, shape)) {
    const std::size_t b = at(layer.count[at(slots[s])]) > shape.devices()
                              ? slots.size()
                              : partner(slots, shape, s, share, cost, limit);
    if (b == slots.size()) {
      slots[s] = kEmptySlot;
      continue;
    }
    const double more = share[at(slots[b])] - share[at(slots[s])];
    cost[shape.device_of_slot[s]] += more;
    cost[shape.device_of_slot[b]] -= more;
    std::swap(slots[s], slots[b]);
  }
  for (const std::size_t s : repeated(slots, shape)) slots[s] = kEmptySlot;
  return slots;
}

std::vector<int> greedy_start(std::span<const double> load, const SlotShape& shape) {
  const std::vector<int> count = greedy_counts(load, shape);
  std::vector<int> items;
  for (std::size_t e = 0; e < load.size(); ++e)
    items.insert(items.end(), at(count[e]), static_cast<int>(e));
  const auto share = [&](int e) { return load[at(e)] / count[at(e)]; };
  std::stable_sort(items.begin(), items.end(), [&](int a, int b) { return share(a) > share(b); });
  std::vector<double> sum(shape.devices());
  std::vector<std::size_t> next{shape.first_slot.begin(), shape.first_slot.end() - 1};
  std::vector<int> last(shape.devices(), kEmptySlot);  // an expert's items come in a row
  std::vector<int> slots(shape.slots(), kEmptySlot);
  for (const int e : items) {
    std::size_t best = shape.devices();
    double soonest = 0;
    for (std::size_t d = 0; d < shape.devices(); ++d) {
      if (next[d] == shape.first_slot[d + 1] || last[d] == e) continue;
      const double end = (sum[d] + share(e)) * shape.seconds[next[d]];
      if (best == shape.devices() || end < soonest) {
        best = d;
        soonest = end;
      }
    }
    if (best == shape.devices()) continue;  // a further copy that fits nowhere
    slots[next[best]++] = e;
    sum[best] += share(e);
    last[best] = e;
  }
  return slots;
}

std::vector<int> peeled_start(std::span<const double> load, const SlotShape& shape, double goal) {
  const std::vector<int> order = by_load(load);
  std::vector<double> rising;
  for (const int e : order) rising.push_back(load[at(e)]);
  const std::size_t devices = shape.devices(), each = shape.first_slot[1];
  std::vector<int> slots(shape.slots(), kEmptySlot);
  std::size_t low = 0, high = order.size(), device = 0;
  while (high > low) {
    const auto lightest = std::span<const double>(rising).subspan(low, high - 1 - low);
    const std::size_t copies =
        copies_beside(rising[high - 1], lightest, each - 1, devices - device, goal);
    if (copies < 2) break;
    --high;
    for (std::size_t c = 0; c < copies; ++c, ++device) {
      slots[device * each] = order[high];
      for (std::size_t i = 1; i < each; ++i) slots[device * each + i] = order[low++];
    }
  }
  const std::size_t rest = devices - device;
  if (device == 0 || rest * each < high - low) return {};
  if (high == low) return slots;
  const auto middle = std::span<const double>(rising).subspan(low, high - low);
  const EplbLayer layer = eplb(middle, {static_cast<int>(rest * each), static_cast<int>(rest)});
  for (std::size_t s = 0; s < layer.expert_of_slot.size(); ++s)
    slots[device * each + s] = order[low + at(layer.expert_of_slot[s])];
  for (const std::size_t s : repeated(slots, shape)) slots[s] = kEmptySlot;
  return slots;
}

}  // namespace gracemoe
