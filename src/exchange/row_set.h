// Who sends which rows to whom: the pure part of every exchange, without transport.
//
// A RowSet is a list of rows with, for each, the entries (chosen expert instances) that need it. A
// device holds one for its own tokens, a gateway one for what another node's device sent. An Outbox
// splits such sets by the next rank on each entry's way; what comes back from that rank is its
// *reply*: for every row sent, in order, either its entries' output rows or one partial sum
// (float32, or bf16 as the reduction says). A Share tells where, in the replies, an entry of the
// parent finds its result.
#pragma once
#include <algorithm>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "exchange/exchange.h"

namespace gracemoe {

struct RowSet {
  std::vector<const std::byte*> row;   // [rows] the row's elements, owned by others
  std::vector<float> grid;             // [rows] as TokenRoutes::grid; NaN where not needed
  std::vector<std::int32_t> first{0};  // [rows + 1] entries of row r: first[r] .. first[r + 1] - 1
  std::vector<std::uint16_t> expert;   // [entries] in top-k order within a row
  std::vector<std::int32_t> device;    // [entries] that hosts the chosen instance
  std::vector<float> weight;           // [entries] NaN where the sender knew it is not needed

  int rows() const { return static_cast<int>(row.size()); }
  int entries() const { return static_cast<int>(expert.size()); }
  int count(int r) const {
    const auto at = static_cast<std::size_t>(r);
    return first[at + 1] - first[at];
  }
  void clear();  // keeps the memory
  void begin_row(const std::byte* elements, float its_grid);
  void add_entry(std::uint16_t expert_id, std::int32_t on_device, float its_weight);
};

// Rows first .. last - 1 of a set.
struct RowRange {
  int first = 0, last = 0;
  int count() const { return last - first; }
  static RowRange all(const RowSet& set) { return {0, set.rows()}; }
};

// The rows of the tokens at home here, every token with its k entries. Errors: GM_CHECK on routes
// whose arrays do not fit each other or name a device outside [0, devices).
void set_home_rows(const TokenRoutes& routes, int devices, std::span<const std::byte> rows,
                   std::size_t row_bytes, RowSet& home);

// The rule of exchange.h on what comes back for the j entries of a row. A reply is counted in units
// of one row in the element type: a float32 partial sum is 2 units of bf16, 1 of float32; a bf16
// partial sum is 1.
struct ReplyRule {
  int raw_limit = INT_MAX;  // up to so many entries: rows unreduced; beyond: so many units
  Element partial_element = Element::kFloat32;
  static ReplyRule of(Reduction reduction, Element element);
  bool partial(int j) const { return j > raw_limit; }
  int units(int j) const { return std::min(j, raw_limit); }
};

struct Share {
  enum class Kind : std::uint8_t {
    kRow,      // an output row in the element type, not weighted yet
    kPartial,  // a sum of this and later entries of the row, weighted
    kCovered,  // contained in the partial sum of an earlier entry
  };
  std::int32_t rank = 0;  // in whose reply; own rank: computed here
  std::int32_t unit = 0;  // where in the reply; own rank: number of the entry, through all sets of
                          // rows that are computed here, the Outbox's own first
  Kind kind = Kind::kRow;
};

enum class Copies { kPerRank, kPerEntry };  // rows sent for one row with several entries for a rank

class Outbox {
 public:
  Outbox(int ranks, int self, ReplyRule rule);
  // Another rule for what comes back from `rank`.
  void set_rule(int rank, ReplyRule rule) { ways_[static_cast<std::size_t>(rank)].rule = rule; }
  void clear();
  // Appends the rows of `parent` to the sets of the ranks that its entries go to next:
  // next_hop[device]. Returns a share for every entry. For itself a rank always keeps one copy a
  // row.
  std::vector<Share> add(const RowSet& parent, std::span<const int> next_hop, Copies copies);
  const RowSet& rows_to(int rank) const { return ways_[static_cast<std::size_t>(rank)].set; }
  // Units of the reply to expect from `rank`.
  int reply_units(int rank) const { return ways_[static_cast<std::size_t>(rank)].unit.back(); }

 private:
  struct Way {
    ReplyRule rule;
    RowSet set;
    std::vector<std::int32_t> unit{0};  // [rows + 1] where the reply to each row starts
  };
  void append(const RowSet& parent, std::span<const int> next_hop, Copies copies,
              std::vector<Share>& shares);
  void place(std::span<Share> shares);

  int self_;
  std::vector<Way> ways_;               // [ranks]
  std::vector<std::int32_t> last_row_;  // [ranks] parent's row that the rank got last
  std::vector<std::int32_t> way_row_;   // [entries of the parent] scratch: row in the way's set
};

// Units of the reply to these rows of the set.
int reply_units(const RowSet& set, ReplyRule rule, RowRange rows);

}  // namespace gracemoe
