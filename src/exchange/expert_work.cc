#include "exchange/expert_work.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/error.h"

namespace gracemoe {
namespace {

// Calls visit(number of the entry, its expert, number of its row), rows numbered through the sets.
template <typename Visit>
void for_each_entry(std::span<const RowSet* const> sets, Visit visit) {
  std::size_t entry = 0;
  std::int32_t row = 0;
  for (const RowSet* set : sets) {
    for (int r = 0; r < set->rows(); ++r, ++row) {
      const auto begin = static_cast<std::size_t>(set->first[static_cast<std::size_t>(r)]);
      for (std::size_t e = 0; e < static_cast<std::size_t>(set->count(r)); ++e) {
        visit(entry++, set->expert[begin + e], row);
      }
    }
  }
}

struct RowPlaces {
  std::vector<const std::byte*> row;  // through the sets
  bool all_at_home = true;
};

RowPlaces find_rows(std::span<const RowSet* const> sets, std::span<const std::byte> home) {
  RowPlaces places;
  const std::less<> before;
  for (const RowSet* set : sets) {
    places.row.insert(places.row.end(), set->row.begin(), set->row.end());
  }
  places.all_at_home = std::all_of(places.row.begin(), places.row.end(), [&](const std::byte* p) {
    return !before(p, home.data()) && before(p, home.data() + home.size());
  });
  return places;
}

// Next free output of every expert, ascending; fills work's groups.
std::vector<std::int32_t> group_by_expert(std::span<const RowSet* const> sets, ExpertWork& work) {
  std::vector<std::int32_t> next;
  for (const RowSet* set : sets) {
    for (const std::uint16_t expert : set->expert) {
      if (expert >= next.size()) next.resize(expert + std::size_t{1});
      ++next[expert];
    }
  }
  work.experts.clear();
  work.offsets.assign(1, 0);
  for (std::size_t expert = 0; expert < next.size(); ++expert) {
    const std::int32_t count = next[expert];
    next[expert] = work.offsets.back();
    if (count == 0) continue;
    work.experts.push_back(static_cast<std::int32_t>(expert));
    work.offsets.push_back(work.offsets.back() + count);
  }
  return next;
}

}  // namespace

std::vector<std::int32_t> build_work(std::span<const RowSet* const> sets,
                                     std::span<const std::byte> home, ExpertWork& work) {
  std::size_t entries = 0;
  for (const RowSet* set : sets) entries += set->expert.size();
  GM_CHECK(entries <= std::numeric_limits<std::int32_t>::max(), "too many entries on a device");
  const std::size_t row_bytes = static_cast<std::size_t>(work.hidden) * element_size(work.element);
  RowPlaces places = find_rows(sets, home);
  work.row_at.clear();
  work.row_data = nullptr;
  if (places.all_at_home) {
    work.row_data = home.data();
    work.rows = static_cast<int>(home.size() / row_bytes);
  } else {
    work.rows = static_cast<int>(places.row.size());
  }
  std::vector<std::int32_t> next = group_by_expert(sets, work);
  std::vector<std::int32_t> place(entries);
  work.row_of.resize(entries);
  for_each_entry(sets, [&](std::size_t entry, std::uint16_t expert, std::int32_t row) {
    place[entry] = next[expert]++;
    if (places.all_at_home) {
      const std::byte* at = places.row[static_cast<std::size_t>(row)];
      row = static_cast<std::int32_t>(static_cast<std::size_t>(at - home.data()) / row_bytes);
    }
    work.row_of[static_cast<std::size_t>(place[entry])] = row;
  });
  if (!places.all_at_home) work.row_at = std::move(places.row);
  return place;
}

}  // namespace gracemoe
