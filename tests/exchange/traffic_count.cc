#include "exchange/traffic_count.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "exchange/case_rows.h"
#include "exchange/evened_tokens.h"
#include "exchange/row_packing.h"

namespace gracemoe {
namespace {

// The slow twin of packing.h: bytes that a sum takes between nodes.
std::int64_t packed_size(std::span<const float> sum, float grid) {
  std::int64_t bytes = 0;
  for (std::size_t begin = 0; begin < sum.size(); begin += 128) {
    const std::size_t end = std::min(sum.size(), begin + 128);
    bool raw = false, zero = true;
    int bits = 1;
    for (std::size_t i = begin; i < end; ++i) {
      const double n = grid == 0 ? 0.0 : static_cast<double>(sum[i]) / static_cast<double>(grid);
      raw = raw || grid == 0 || n != std::nearbyint(n) || n < -0x1p22 || n >= 0x1p22;
      zero = zero && n == 0;
      while (n < -std::ldexp(1.0, bits - 1) || n >= std::ldexp(1.0, bits - 1)) ++bits;
    }
    const auto count = static_cast<std::int64_t>(end - begin);
    const std::int64_t integers = zero ? 0 : (count + 7) / 8 * bits;
    bytes += 1 + (raw ? 4 * count : std::min(integers, 4 * count));
  }
  return bytes;
}

class TrafficCount {
 public:
  explicit TrafficCount(const ExchangeCase& c) : c_(c) {
    per_device_.resize(static_cast<std::size_t>(c.topology.devices()));
    for (auto& counters : per_device_) counters.resize(static_cast<std::size_t>(c.options.layers));
    const bool narrow = c.options.element == Element::kBf16;
    const bool rounded = c.options.reduction == Reduction::kBf16;
    limit_ = c.options.reduction == Reduction::kExact ? 1000 : narrow && !rounded ? 2 : 1;
    partial_bytes_ = c.options.hidden * std::int64_t{narrow && rounded ? 2 : 4};
  }

  void add_step(int step) {
    layer_ = static_cast<std::size_t>(step % c_.options.layers);
    for (int home = 0; home < c_.topology.devices(); ++home)
      at(home).tokens += make_tokens(c_, home, step).tokens;
    const EvenedTokens evened = even_tokens(c_, step);
    for (const TokensHandedOver& handed : evened.handed) count_handed_over(handed);
    for (int home = 0; home < c_.topology.devices(); ++home) {
      const CaseTokens& tokens = evened.of[static_cast<std::size_t>(home)];
      for (int t = 0; t < tokens.tokens; ++t) {
        std::map<int, int> entries;  // device -> j
        terms_.clear();
        grid_ = c_.grid ? tokens.grid[static_cast<std::size_t>(t)] : 0;
        row_ =
            std::span(tokens.rows).subspan(static_cast<std::size_t>(t) * row_bytes(), row_bytes());
        for (int s = t * c_.top_k; s < (t + 1) * c_.top_k; ++s) {
          const int device = tokens.device[static_cast<std::size_t>(s)];
          ++entries[device];
          ++at(device).entries;
          add_term(tokens, t, s);
        }
        add_token(home, entries);
      }
    }
    for (const auto& [ends, rows] : packable_) {
      Bytes packed(packed_rows_bound(rows.size() / 2));
      const std::byte* end = pack_rows(rows.data(), rows.size() / 2, packed.data());
      const auto bytes = std::min<std::int64_t>(std::ssize(rows), end - packed.data());
      at(ends.first).dispatch_payload.cross_node += bytes;
      at(ends.second).dispatch_received += bytes;
    }
    packable_.clear();
  }

  std::vector<std::vector<LayerCounters>> take() { return std::move(per_device_); }

 private:
  LayerCounters& at(int device) { return per_device_[static_cast<std::size_t>(device)][layer_]; }
  bool same_node(int a, int b) const { return c_.topology.node_of(a) == c_.topology.node_of(b); }

  bool packs(Packing what) const {
    return (c_.options.packing == what || c_.options.packing == Packing::kAll) &&
           c_.options.element == Element::kBf16;
  }
  std::size_t row_bytes() const {
    return static_cast<std::size_t>(c_.options.hidden) * element_size(c_.options.element);
  }

  // Rows out, sums of float32 back.
  void count_handed_over(const TokensHandedOver& handed) {
    at(handed.from).rows_handed_over += handed.count;
    at(handed.from).intra_row_copies += handed.count;
    at(handed.from).dispatch_payload.intra_node +=
        handed.count * static_cast<std::int64_t>(row_bytes());
    at(handed.to).combine_payload.intra_node += handed.count * std::int64_t{4} * c_.options.hidden;
  }

  void row(int from, int to, int count) {
    if (from == to) return;
    TrafficBytes& traffic = at(from).dispatch_payload;
    const std::int64_t bytes = count * static_cast<std::int64_t>(row_bytes());
    if (same_node(from, to)) {
      traffic.intra_node += bytes;
      return;
    }
    at(from).cross_node_rows += count;
    if (!packs(Packing::kRows)) {
      traffic.cross_node += bytes;
      at(to).dispatch_received += bytes;
    }
    Bytes& message = packable_[{from, to}];
    for (int i = 0; i < count && packs(Packing::kRows); ++i)
      message.insert(message.end(), row_.begin(), row_.end());
  }
  // Of j entries on `from`, or on all of its node.
  void reply(int from, int to, int j, bool of_node = false) {
    if (from == to) return;
    const bool in_place = same_node(from, to) && c_.options.intra == Intra::kShared;
    std::int64_t bytes =
        j <= limit_ || in_place ? j * static_cast<std::int64_t>(row_bytes()) : partial_bytes_;
    if (limit_ == 2 && packs(Packing::kSums) && !same_node(from, to) && j > 1) {
      const std::int64_t packed = packed_size(sum_of(from, of_node), grid_);
      bytes = j == 2 ? std::min(bytes, packed) : packed;
    }
    TrafficBytes& traffic = at(from).combine_payload;
    (same_node(from, to) ? traffic.intra_node : traffic.cross_node) += bytes;
    if (!same_node(from, to)) at(to).combine_received += bytes;
  }

  // The weighted output of slot s of token t, on the grid.
  void add_term(const CaseTokens& tokens, int t, int s) {
    const auto slot = static_cast<std::size_t>(s);
    Bytes output(row_bytes());
    stand_in_expert(tokens.expert[slot],
                    tokens.rows.data() + static_cast<std::size_t>(t) * row_bytes(),
                    c_.options.hidden, c_.options.element, output.data());
    std::vector<float> term;
    for (int i = 0; i < c_.options.hidden; ++i)
      term.push_back(
          on_grid(tokens.weight[slot] * element_at(output.data(), i, c_.options.element), grid_));
    terms_.emplace_back(tokens.device[slot], std::move(term));
  }
  std::vector<float> sum_of(int device, bool of_node) const {
    std::vector<float> sum(static_cast<std::size_t>(c_.options.hidden));
    for (const auto& [its, term] : terms_) {
      if (of_node ? !same_node(its, device) : its != device) continue;
      std::transform(sum.begin(), sum.end(), term.begin(), sum.begin(), std::plus<>());
    }
    return sum;
  }

  // Copies made inside nodes: with shared memory one for a row that any other device of the node
  // of its holder needs.
  void copies(int home, const std::map<int, int>& entries) {
    std::map<int, std::set<int>> readers;  // holder -> others of its node
    for (const auto& [device, j] : entries) {
      const bool direct = c_.options.kind != ExchangeKind::kHierarchical;
      const int holder = same_node(home, device) || direct
                             ? home
                             : c_.topology.peer_on(home, c_.topology.node_of(device));
      if (device == holder || !same_node(holder, device)) continue;
      readers[holder].insert(device);
      if (c_.options.intra == Intra::kMpi)
        at(holder).intra_row_copies += c_.options.kind == ExchangeKind::kFlatPerExpert ? j : 1;
    }
    if (c_.options.intra == Intra::kMpi) return;
    for (const auto& [holder, devices] : readers) ++at(holder).intra_row_copies;
  }

  void add_token(int home, const std::map<int, int>& entries) {
    copies(home, entries);
    std::map<int, int> on_node;
    for (const auto& [device, j] : entries) {
      on_node[c_.topology.node_of(device)] += j;
      if (c_.options.kind == ExchangeKind::kFlatPerExpert) {
        row(home, device, j);
        for (int i = 0; i < j; ++i) reply(device, home, 1);
      } else if (c_.options.kind == ExchangeKind::kFlatPerDevice || same_node(home, device)) {
        row(home, device, 1);
        reply(device, home, j);
      } else {
        const int gateway = c_.topology.peer_on(home, c_.topology.node_of(device));
        row(gateway, device, 1);
        reply(device, gateway, j);
      }
    }
    if (c_.options.kind != ExchangeKind::kHierarchical) return;
    for (const auto& [node, j] : on_node) {
      if (node == c_.topology.node_of(home)) continue;
      row(home, c_.topology.peer_on(home, node), 1);
      reply(c_.topology.peer_on(home, node), home, j, true);
    }
  }

  const ExchangeCase& c_;
  std::vector<std::vector<LayerCounters>> per_device_;
  std::size_t layer_ = 0;
  std::vector<std::pair<int, std::vector<float>>> terms_;  // of the token: device, weighted output
  float grid_ = 0;                                         // the token's
  std::span<const std::byte> row_;                         // the token's
  std::map<std::pair<int, int>, Bytes> packable_;          // from, to: rows of a message
  int limit_;
  std::int64_t partial_bytes_;
};

}  // namespace

std::vector<std::vector<LayerCounters>> count_traffic(const ExchangeCase& c) {
  TrafficCount count(c);
  for (int step = 0; step < c.steps; ++step) count.add_step(step);
  return count.take();
}

}  // namespace gracemoe
