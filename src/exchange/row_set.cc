#include "exchange/row_set.h"

#include <limits>

#include "base/error.h"

namespace gracemoe {

void RowSet::clear() {
  row.clear();
  grid.clear();
  first.assign(1, 0);
  expert.clear();
  device.clear();
  weight.clear();
}

void RowSet::begin_row(const std::byte* elements, float its_grid) {
  row.push_back(elements);
  grid.push_back(its_grid);
  first.push_back(first.back());
}

void RowSet::add_entry(std::uint16_t expert_id, std::int32_t on_device, float its_weight) {
  expert.push_back(expert_id);
  device.push_back(on_device);
  weight.push_back(its_weight);
  ++first.back();
}

void set_home_rows(const TokenRoutes& routes, int devices, std::span<const std::byte> rows,
                   std::size_t row_bytes, RowSet& home) {
  const auto tokens = static_cast<std::size_t>(routes.tokens);
  const auto k = static_cast<std::size_t>(routes.top_k);
  GM_CHECK(routes.tokens >= 0, "routes: negative number of tokens");
  GM_CHECK(routes.tokens == 0 || (routes.top_k >= 1 && routes.top_k <= 255), "routes: top_k");
  GM_CHECK(routes.expert.size() == tokens * k && routes.weight.size() == tokens * k &&
               routes.device.size() == tokens * k,
           "routes: arrays are not [tokens, top_k]");
  GM_CHECK(routes.grid.empty() || routes.grid.size() == tokens, "routes: grid is not [tokens]");
  GM_CHECK(tokens * k <= std::numeric_limits<std::int32_t>::max(), "routes: too many entries");
  GM_CHECK(rows.size() == tokens * row_bytes, "rows are not [tokens, hidden]");
  for (const std::int32_t device : routes.device) {
    GM_CHECK(device >= 0 && device < devices, "routes: device out of range");
  }
  home.clear();
  home.expert.assign(routes.expert.begin(), routes.expert.end());
  home.device.assign(routes.device.begin(), routes.device.end());
  home.weight.assign(routes.weight.begin(), routes.weight.end());
  for (std::size_t t = 0; t < tokens; ++t) {
    home.row.push_back(rows.data() + t * row_bytes);
    home.grid.push_back(routes.grid.empty() ? 0.0F : routes.grid[t]);
    home.first.push_back(static_cast<std::int32_t>((t + 1) * k));
  }
}

ReplyRule ReplyRule::of(Reduction reduction, Element element) {
  if (reduction == Reduction::kExact) return {};
  if (reduction == Reduction::kBf16) return {1, element};
  return {static_cast<int>(sizeof(float) / element_size(element))};
}

Outbox::Outbox(int ranks, int self, ReplyRule rule)
    : self_(self),
      ways_(static_cast<std::size_t>(ranks), Way{rule, {}}),
      last_row_(static_cast<std::size_t>(ranks)) {}

void Outbox::clear() {
  for (Way& way : ways_) {
    way.set.clear();
    way.unit.assign(1, 0);
  }
}

std::vector<Share> Outbox::add(const RowSet& parent, std::span<const int> next_hop, Copies copies) {
  std::vector<Share> shares;
  append(parent, next_hop, copies, shares);
  for (Way& way : ways_) {
    for (auto r = static_cast<int>(way.unit.size()) - 1; r < way.set.rows(); ++r) {
      way.unit.push_back(way.unit.back() + way.rule.units(way.set.count(r)));
    }
  }
  place(shares);
  return shares;
}

// Leaves in each share's `unit` the entry's number in its way's set.
void Outbox::append(const RowSet& parent, std::span<const int> next_hop, Copies copies,
                    std::vector<Share>& shares) {
  shares.reserve(parent.expert.size());
  way_row_.clear();
  std::fill(last_row_.begin(), last_row_.end(), -1);
  for (int r = 0; r < parent.rows(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    for (auto e = static_cast<std::size_t>(parent.first[at]);
         e < static_cast<std::size_t>(parent.first[at + 1]); ++e) {
      const int rank = next_hop[static_cast<std::size_t>(parent.device[e])];
      const auto to = static_cast<std::size_t>(rank);
      RowSet& set = ways_[to].set;
      if (last_row_[to] != r || (copies == Copies::kPerEntry && rank != self_)) {
        set.begin_row(parent.row[at], parent.grid[at]);
        last_row_[to] = r;
      }
      shares.push_back({rank, set.entries(), Share::Kind::kRow});
      way_row_.push_back(set.rows() - 1);
      set.add_entry(parent.expert[e], parent.device[e], parent.weight[e]);
    }
  }
}

void Outbox::place(std::span<Share> shares) {
  for (std::size_t e = 0; e < shares.size(); ++e) {
    Share& share = shares[e];
    if (share.rank == self_) continue;
    const Way& way = ways_[static_cast<std::size_t>(share.rank)];
    const auto r = static_cast<std::size_t>(way_row_[e]);
    const int index = share.unit - way.set.first[r];
    if (!way.rule.partial(way.set.count(way_row_[e]))) {
      share.unit = way.unit[r] + index;
    } else {
      share.unit = way.unit[r];
      share.kind = index == 0 ? Share::Kind::kPartial : Share::Kind::kCovered;
    }
  }
}

int reply_units(const RowSet& set, ReplyRule rule, RowRange rows) {
  int units = 0;
  for (int r = rows.first; r < rows.last; ++r) units += rule.units(set.count(r));
  return units;
}

}  // namespace gracemoe
