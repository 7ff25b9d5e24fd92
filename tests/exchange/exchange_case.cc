#include "exchange/exchange_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>

#include "base/hash.h"
#include "exchange/case_rows.h"
#include "exchange/traffic_count.h"

namespace gracemoe {
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() { return hash_combine(seed_, ++count_); }
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint64_t>(n)); }
  float unit() { return static_cast<float>(unit_interval(next())); }

 private:
  std::uint64_t seed_, count_ = 0;
};

// Devices of an expert's instances: one to three, distinct.
std::vector<int> instances_of(const ExchangeCase& c, int expert) {
  Random random(hash_combine(c.seed, 1000003U + static_cast<unsigned>(expert)));
  std::set<int> devices;
  const int wanted = std::min(c.topology.devices(), 1 + random.below(3));
  while (static_cast<int>(devices.size()) < wanted) {
    devices.insert(random.below(c.topology.devices()));
  }
  return {devices.begin(), devices.end()};
}

int choose_device(const ExchangeCase& c, int home, int expert, int slot, Random& random) {
  const std::vector<int> instances = instances_of(c, expert);
  switch (c.pattern) {
    case Pattern::kLocalOnly:
      return home;
    case Pattern::kOneDevice:
      return c.topology.devices() - 1;
    case Pattern::kFirstNodeOnly:
      return random.below(c.topology.devices_on(0));
    case Pattern::kOneExpert:
      if (slot == 0) return instances.front();
      break;
    default:
      break;
  }
  return instances[static_cast<std::size_t>(random.below(static_cast<int>(instances.size())))];
}

int tokens_at(const ExchangeCase& c, int device, Random& random) {
  const int some = random.below(c.tokens + 1);
  switch (c.pattern) {
    case Pattern::kNoToken:
      return 0;
    case Pattern::kOneToken:
      return device == c.topology.devices() - 1 ? 1 : 0;
    case Pattern::kIdleDevices:
      return device % 2 == 0 ? c.tokens : 0;
    case Pattern::kOneExpert:
      return c.tokens;
    default:
      return some;
  }
}

void check(bool holds, const ExchangeCase& c, const std::string& what) {
  if (!holds) throw std::runtime_error(c.name() + ": " + what);
}
void check_equal(std::int64_t got, std::int64_t wanted, const ExchangeCase& c,
                 const std::string& what) {
  check(got == wanted, c,
        what + ": got " + std::to_string(got) + ", wanted " + std::to_string(wanted));
}

// The slow twin of values: float32 in top-k order, and float64 with the sum of magnitudes.
void check_values(const ExchangeCase& c, const CaseTokens& mine, std::span<const float> out) {
  const int h = c.options.hidden;
  const std::size_t row_bytes = static_cast<std::size_t>(h) * element_size(c.options.element);
  Bytes output(row_bytes);
  for (int t = 0; t < mine.tokens; ++t) {
    const auto tt = static_cast<std::size_t>(t);
    const float grid = c.grid ? mine.grid[tt] : 0;
    std::vector<float> exact(static_cast<std::size_t>(h));
    std::vector<double> sum(exact.size());
    std::vector<double> magnitude(exact.size());
    for (std::size_t s = tt * static_cast<std::size_t>(c.top_k);
         s < (tt + 1) * static_cast<std::size_t>(c.top_k); ++s) {
      stand_in_expert(mine.expert[s], mine.rows.data() + tt * row_bytes, h, c.options.element,
                      output.data());
      for (std::size_t i = 0; i < exact.size(); ++i) {
        const float value = element_at(output.data(), static_cast<int>(i), c.options.element);
        exact[i] += on_grid(mine.weight[s] * value, grid);
        sum[i] += static_cast<double>(mine.weight[s]) * static_cast<double>(value);
        magnitude[i] += std::abs(static_cast<double>(mine.weight[s]) * static_cast<double>(value));
      }
    }
    const std::span<const float> got = out.subspan(tt * exact.size(), exact.size());
    const bool rounds_partials =
        c.options.reduction == Reduction::kBf16 && c.options.element == Element::kBf16;
    if (c.options.reduction == Reduction::kExact || (grid > 0 && !rounds_partials)) {
      check(std::memcmp(got.data(), exact.data(), got.size_bytes()) == 0, c,
            "token " + std::to_string(t) + " is not bit-equal to the direct sum");
      continue;
    }
    // A term passes one rounding of its product and, however the sum is parenthesised over device,
    // node and home, at most k + 2 of additions: |error| <= (k + 3) u sum|terms|, to first order.
    // Partial sums in bf16 are rounded on an expert's device and on a gateway: 2^-8 of themselves
    // each.
    const double bound = (c.top_k + 4) * 0x1.0p-24 + (rounds_partials ? 2.01 * 0x1.0p-8 : 0);
    const double off_grid = c.top_k * static_cast<double>(grid);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      check(
          std::abs(static_cast<double>(got[i]) - sum[i]) <= bound * magnitude[i] + off_grid + 1e-40,
          c, "token " + std::to_string(t) + " is outside of the bound of a reordered sum");
    }
  }
}

// What the stand-in experts give for a part of a lane's work.
void compute_part(const ExchangeCase& c, const WorkPart& part) {
  ExpertWork work;
  work.hidden = c.options.hidden;
  work.element = c.options.element;
  work.row_data = part.row_data;
  work.row_at.assign(part.row_at.begin(), part.row_at.end());
  work.experts.assign(part.experts.begin(), part.experts.end());
  work.offsets.assign(part.offsets.begin(), part.offsets.end());
  work.row_of.assign(part.row_of.begin(), part.row_of.end());
  // Where they lie together they are this device's own and what others handed over.
  const int most = c.options.even == Even::kNone ? c.tokens : c.tokens * c.topology.devices();
  work.rows = part.row_data == nullptr ? static_cast<int>(part.row_at.size()) : most;
  const Bytes outputs = stand_in_experts(work);
  std::copy(outputs.begin(), outputs.end(), part.outputs);
}

void check_traffic(const TrafficBytes& got, const TrafficBytes& wanted, const ExchangeCase& c,
                   const std::string& what) {
  check_equal(got.cross_node, wanted.cross_node, c, what + " between nodes");
  check_equal(got.intra_node, wanted.intra_node, c, what + " inside the node");
}

void check_counters(const ExchangeCase& c, int device, const ExchangeCounters& counters) {
  const std::vector<LayerCounters> twin = count_traffic(c)[static_cast<std::size_t>(device)];
  check_equal(static_cast<std::int64_t>(counters.layers.size()), c.options.layers, c, "layers");
  for (int layer = 0; layer < c.options.layers; ++layer) {
    const LayerCounters& got = counters.layers[static_cast<std::size_t>(layer)];
    const LayerCounters& wanted = twin[static_cast<std::size_t>(layer)];
    check_equal(got.tokens, wanted.tokens, c, "tokens");
    check_equal(got.entries, wanted.entries, c, "entries");
    check_equal(got.cross_node_rows, wanted.cross_node_rows, c, "rows between nodes");
    check_traffic(got.dispatch_payload, wanted.dispatch_payload, c, "dispatch payload");
    check_traffic(got.combine_payload, wanted.combine_payload, c, "combine payload");
    check_equal(got.dispatch_received, wanted.dispatch_received, c, "dispatch received");
    check_equal(got.combine_received, wanted.combine_received, c, "combine received");
    check_equal(got.rows_handed_over, wanted.rows_handed_over, c, "tokens handed over");
    check_equal(got.intra_row_copies, wanted.intra_row_copies, c, "copies of rows inside nodes");
    // At most k entries of 8 bytes, a count and a grid a row, a header and padding a message; 8
    // bytes for a row's place in shared memory.
    const auto bytes = static_cast<std::int64_t>(c.options.hidden) *
                       static_cast<std::int64_t>(element_size(c.options.element));
    const std::int64_t rows = got.cross_node_rows + got.dispatch_payload.intra_node / bytes;
    const std::int64_t metadata =
        got.dispatch_metadata.cross_node + got.dispatch_metadata.intra_node;
    const int place = c.options.intra == Intra::kShared ? 8 : 0;
    check(metadata <= rows * (8 * c.top_k + 5 + place) + 36 * got.messages, c, "too much metadata");
    check(got.dispatch_seconds >= 0 && got.combine_seconds >= 0, c, "seconds");
  }
}

}  // namespace

const char* to_string(Pattern pattern) {
  constexpr const char* kNames[] = {"random",     "one-expert", "one-device", "first-node-only",
                                    "local-only", "no-token",   "one-token",  "idle-devices"};
  return kNames[static_cast<std::size_t>(pattern)];
}

std::string ExchangeCase::name() const {
  return topology.to_string() + " " + to_string(options.kind) + " " + to_string(options.reduction) +
         " " + to_string(options.overlap) + " " + to_string(options.intra) + " " +
         to_string(options.packing) + " " + to_string(options.even) +
         (options.element == Element::kBf16 ? " bf16 " : " float32 ") + to_string(pattern) +
         " k=" + std::to_string(top_k) + " hidden=" + std::to_string(options.hidden) +
         " seed=" + std::to_string(seed) + (grid ? " grid" : "") + (uneven ? " uneven" : "");
}

TokenRoutes CaseTokens::routes() const {
  return {tokens, top_k, expert, weight, device, grid, uneven};
}

CaseTokens make_tokens(const ExchangeCase& c, int device, int step) {
  Random random(hash_combine(hash_combine(c.seed, static_cast<std::uint64_t>(step)),
                             static_cast<std::uint64_t>(device)));
  CaseTokens made;
  made.tokens = tokens_at(c, device, random);
  made.top_k = c.top_k;
  made.uneven = c.uneven;
  for (int t = 0; t < made.tokens; ++t) {
    // Terms stay below 4, their sums below 32: multiples of 2^-18 that float32 holds exactly.
    if (c.grid) made.grid.push_back(t % 3 == 2 ? 0 : t % 3 == 1 ? 0x1p-18F : 0x1p-9F);
    std::vector<int> chosen;
    for (int slot = 0; slot < c.top_k; ++slot) {
      int expert =
          c.pattern == Pattern::kOneExpert && slot == 0 ? 0 : random.below(c.options.experts);
      while (std::count(chosen.begin(), chosen.end(), expert) > 0) {
        expert = (expert + 1) % c.options.experts;
      }
      chosen.push_back(expert);
      made.expert.push_back(static_cast<std::uint16_t>(expert));
      made.weight.push_back(random.unit());
      made.device.push_back(choose_device(c, device, expert, slot, random));
    }
  }
  const std::size_t row_bytes =
      static_cast<std::size_t>(c.options.hidden) * element_size(c.options.element);
  made.rows.resize(static_cast<std::size_t>(made.tokens) * row_bytes);
  for (int i = 0; i < made.tokens * c.options.hidden; ++i) {
    set_element(made.rows.data(), i, c.options.element, 2.0F * random.unit() - 1.0F);
  }
  return made;
}

Bytes stand_in_experts(const ExpertWork& work) {
  const auto fail_work = [](const char* what) { throw std::runtime_error(what); };
  const std::size_t row_bytes = static_cast<std::size_t>(work.hidden) * element_size(work.element);
  if (work.offsets.size() != work.experts.size() + 1 || work.offsets.front() != 0 ||
      work.offsets.back() != work.entries()) {
    fail_work("work: offsets");
  }
  Bytes outputs(static_cast<std::size_t>(work.entries()) * row_bytes);
  for (std::size_t group = 0; group < work.experts.size(); ++group) {
    if (group > 0 && work.experts[group - 1] >= work.experts[group]) fail_work("work: order");
    if (work.offsets[group] >= work.offsets[group + 1]) fail_work("work: an empty group");
    for (int e = work.offsets[group]; e < work.offsets[group + 1]; ++e) {
      const int row = work.row_of[static_cast<std::size_t>(e)];
      if (row < 0 || row >= work.rows) fail_work("work: row out of range");
      stand_in_expert(work.experts[group], work.row(row), work.hidden, work.element,
                      outputs.data() + static_cast<std::size_t>(e) * row_bytes);
    }
  }
  return outputs;
}

namespace {

// Steps of all lanes at once, in two shuffled: what is computed when must not matter.
void run_in_lanes(const ExchangeCase& c, Transport& transport, Exchange& exchange) {
  Random random(hash_combine(c.seed, static_cast<std::uint64_t>(transport.rank())));
  const int lanes = exchange.lanes();
  for (int step = 0; step < c.steps; step += lanes) {
    const int open = std::min(lanes, c.steps - step);
    std::vector<CaseTokens> tokens;
    for (int lane = 0; lane < open; ++lane)
      tokens.push_back(make_tokens(c, transport.rank(), step + lane));
    std::vector<bool> computed(static_cast<std::size_t>(open));
    for (int lane = 0; lane < open; ++lane) {
      const CaseTokens& mine = tokens[static_cast<std::size_t>(lane)];
      exchange.begin(lane, (step + lane) % c.options.layers, mine.routes(), mine.rows);
    }
    for (int left = open, later = 0; left > 0;) {
      const int lane = random.below(open);
      if (computed[static_cast<std::size_t>(lane)]) continue;
      WorkPart part;
      const Ready ready = exchange.next(lane, part);
      later = ready == Ready::kLater ? later + 1 : 0;
      if (ready == Ready::kPart) {
        compute_part(c, part);
        exchange.done(part);
      } else if (ready == Ready::kNone) {
        computed[static_cast<std::size_t>(lane)] = true;
        --left;
      } else if (later > 8) {  // neither lane has anything to do, most likely
        bool any = false;
        for (int other = 0; other < open && !any; ++other) {
          if (computed[static_cast<std::size_t>(other)]) continue;
          const Ready its = exchange.next(other, part);
          if (its == Ready::kPart) {
            compute_part(c, part);
            exchange.done(part);
          }
          any = its != Ready::kLater;
        }
        if (!any) exchange.wait();
        later = 0;
      }
    }
    for (int lane = 0; lane < open; ++lane) {
      const CaseTokens& mine = tokens[static_cast<std::size_t>(lane)];
      std::vector<float> out(static_cast<std::size_t>(mine.tokens * c.options.hidden), 77.0F);
      exchange.finish(lane, out);
      check_values(c, mine, out);
    }
  }
}

}  // namespace

void run_case(const ExchangeCase& c, Transport& transport) {
  const auto exchange = make_exchange(c.options, c.topology, transport);
  if (c.options.overlap != Overlap::kNone) {
    run_in_lanes(c, transport, *exchange);
    return check_counters(c, transport.rank(), exchange->counters());
  }
  for (int step = 0; step < c.steps; ++step) {
    const CaseTokens mine = make_tokens(c, transport.rank(), step);
    const ExpertWork& work = exchange->dispatch(step % c.options.layers, mine.routes(), mine.rows);
    const Bytes outputs = stand_in_experts(work);
    // Not zero before: combine() must write, not add.
    std::vector<float> out(static_cast<std::size_t>(mine.tokens * c.options.hidden), 77.0F);
    exchange->combine(outputs, out);
    check_values(c, mine, out);
  }
  check_counters(c, transport.rank(), exchange->counters());
}

}  // namespace gracemoe
