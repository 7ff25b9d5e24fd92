// Dispatch and combine of one MoE layer (method.md section 5): rows go to the devices that host the
// chosen expert instances, the experts' outputs come back as weighted sums.
//
// Element types: rows travel as bf16 (2 bytes an element), or as float32 (reference backend).
// Shapes: T tokens at home on this device, H hidden, k slots a token, E entries = (row, expert
// instance) pairs computed on this device, R rows present on this device.
//
// Reduction (what comes back):
//   exact  every entry's output row unreduced; home adds weight * row in top-k order in float32:
//          bit-identical to one rank, for every kind of exchange, plan and topology.
//   fp32   the default. Of the j entries of one token that share a way back (to one device; under
//          the hierarchical exchange between nodes: to one node), j * element size <= 4 -> the rows
//          unreduced (exact, and no more bytes); else one float32 partial sum.
//   bf16   fewest bytes: one row a way back. j = 1 -> the row unreduced; else one partial sum,
//          rounded to bf16: not lossless (docs/numerics.md). With float32 elements as fp32.
// Between nodes, with Packing::kSums, sums of j >= 2 entries travel as integers on the grid
// wherever these hold them to the bit (packing.h), in fewer bytes than the above: about 2.4 H for a
// float32 sum's 4 H. Grid: where TokenRoutes::grid gives a token a power of two g, every weighted
// output is rounded to a multiple of g before it is summed. Sums of such terms are exact in float32
// as long as they stay below 2^23 g, so that no order of additions, and no partial sum, changes a
// single bit: `fp32` then gives what `exact` gives. Beyond that bound a sum is still right to
// float32 rounding. Order of every sum, at home, on a gateway and on an expert's device: by top-k
// slot, a partial sum standing where the first of its slots stands; acc starts at 0 and takes acc
// += weight * row or acc += partial, never contracted to a fused multiply-add. So a result is
// reproducible for a given plan and topology, and the single-device result is that of `exact`.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "exchange/counters.h"
#include "exchange/transport.h"
#include "topology/topology.h"

namespace gracemoe {

enum class ExchangeKind {
  // "flat-expert" (vanilla): one copy a (token, expert) to other devices; each output row returns.
  kFlatPerExpert,
  // "flat-device" (Occult): one copy a (token, device); merged on the device before the return.
  kFlatPerDevice,
  // "hierarchical" (HSC): one copy a (token, other node), handed on inside the node; merged a
  // device, then a node, on the way back.
  kHierarchical,
};
ExchangeKind parse_exchange_kind(const std::string& text);  // Error (kUsage) on others
const char* to_string(ExchangeKind kind);

enum class Reduction { kExact, kFp32, kBf16 };
Reduction parse_reduction(const std::string& text);  // its names above; Error (kUsage) on others
const char* to_string(Reduction reduction);

// What is done while rows are on the wire.
enum class Overlap {
  kNone,   // nothing: the oracle of the others
  kStage,  // experts' work whose rows are here; gateways hand rows on as they come
  kBatch,  // that, and the other half of the step's rows: two lanes
  kAuto,   // two lanes; who runs steps chooses which to cut. On one node: none
};
Overlap parse_overlap(const std::string& text);  // "none", "stage", "batch", "auto"; Error (kUsage)
const char* to_string(Overlap overlap);
// What it comes to on a topology: kAuto on one node is kNone.
Overlap overlap_on(Overlap overlap, const Topology& topology);

// How rows reach the other devices of a node.
enum class Intra {
  kMpi,     // in messages: the oracle of the other
  kShared,  // written once to memory that the node's devices share, and read in place
  kAuto,    // shared on the nodes whose ranks all can, in messages on others
};
Intra parse_intra(const std::string& text);  // "mpi", "shared", "auto"; Error (kUsage) on others
const char* to_string(Intra intra);

// What is coded in fewer bytes between nodes. Results are the same to the bit.
enum class Packing {
  kNone,  // nothing: the oracle of the others
  kSums,  // partial sums of bf16 outputs under the reduction fp32
  kRows,  // bf16 rows that are dispatched
  kAll,   // both
  kAuto,  // sums, and rows where links are slow: for who makes exchanges to settle before
};
Packing parse_packing(const std::string& text);  // its names above; Error (kUsage) on others
const char* to_string(Packing packing);

// Whether a device that has more rows for other nodes than others of its node hands some to these,
// which send them, sum what comes back and return the sums: a message of 2 + 4 bytes a number more
// inside the node, for a share of another device's link. Results are the same to the bit under
// `exact`, on a grid, and where the node's devices share memory; elsewhere partial sums, and with
// them roundings, depend on which tokens are handed over, and so on a token's company.
enum class Even {
  kNone,    // every device sends its own
  kAuto,    // where TokenRoutes::uneven says so; who runs steps knows
  kAlways,  // devices of a node count before every dispatch what each has to send
};
Even parse_even(const std::string& text);  // "none", "auto", "always"; Error (kUsage) on others
const char* to_string(Even even);

enum class Element { kBf16, kFloat32 };
constexpr std::size_t element_size(Element e) {
  return e == Element::kBf16 ? 2 : 4;
}

// The routing of this device's T tokens in one layer, slot j of token t at [t * k + j], in top-k
// order. 1 <= top_k <= 255.
struct TokenRoutes {
  int tokens = 0;
  int top_k = 0;
  std::span<const std::uint16_t> expert;  // [tokens, top_k]
  std::span<const float> weight;          // [tokens, top_k]
  std::span<const std::int32_t> device;   // [tokens, top_k] device of the chosen instance
  std::span<const float> grid{};          // [tokens] a power of two, 0: none; or empty: none
  // For Even::kAuto: rows of this dispatch lie unevenly on the devices of this node. All of them
  // must say the same.
  bool uneven = false;
};

// What a device has to compute: `rows` and the entries that use them, grouped by expert; inside a
// group in a fixed order. An entry's output goes to [entry, H].
struct ExpertWork {
  int hidden = 0;
  Element element = Element::kBf16;
  int rows = 0;
  const std::byte* row_data = nullptr;   // [rows, hidden] elements; null: they lie apart
  std::vector<const std::byte*> row_at;  // [rows] where each lies, if row_data is null
  std::vector<std::int32_t> experts;     // [groups] distinct expert ids, ascending
  std::vector<std::int32_t> offsets;  // [groups + 1] entries of group i: offsets[i]..offsets[i+1]
  std::vector<std::int32_t> row_of;   // [entries] which row the entry reads
  int entries() const { return static_cast<int>(row_of.size()); }
  const std::byte* row(int r) const {
    const auto at = static_cast<std::size_t>(r);
    return row_data == nullptr
               ? row_at[at]
               : row_data + at * static_cast<std::size_t>(hidden) * element_size(element);
  }
};

// Some groups of a lane's work, with where their outputs go: the arrays as in ExpertWork, offsets
// from 0. The views live until done().
struct WorkPart {
  int lane = 0;
  std::size_t batch = 0;  // the exchange's own
  const std::byte* row_data = nullptr;
  std::span<const std::byte* const> row_at;
  std::span<const std::int32_t> experts, offsets, row_of;
  std::byte* outputs = nullptr;  // [entries, hidden] to be written
};

enum class Ready {
  kPart,   // here is work
  kLater,  // more will come: wait()
  kNone,   // all the lane's work has been given out
};

class Exchange {
 public:
  virtual ~Exchange() = default;
  // Collective: all ranks call dispatch and combine in turn, also with zero tokens. `rows`
  // [tokens, hidden] in the element type of the exchange; they must stay as they are until
  // combine() returns, for where no row arrives from elsewhere row_data points at them. The routes
  // are copied. The work lives until the next dispatch().
  virtual const ExpertWork& dispatch(int layer, const TokenRoutes& routes,
                                     std::span<const std::byte> rows) = 0;
  // After dispatch(): room for the outputs, from where combine() need not copy them; its contents
  // are undefined. Lives until the next dispatch().
  virtual std::span<std::byte> output_memory() = 0;
  // outputs [entries, hidden] in the element type. Adds nothing to what is there: writes
  // sum_j weight_j * output_j to out [tokens, hidden].
  virtual void combine(std::span<const std::byte> outputs, std::span<float> out) = 0;

  // The same in steps, for a caller who computes while rows are under way. Of each lane, in turn:
  // begin() as dispatch(); next() and done() for every part until kNone; finish() as combine().
  // Collective: every rank begins and finishes the same lanes in the same order, and finishes all
  // before it communicates otherwise. Where tokens are evened out (Even), begin() waits for the
  // other devices of the node. Inside a lane parts are given as their rows arrive, other devices'
  // first; results do not depend on that.
  virtual int lanes() const { return 1; }
  virtual void begin(int lane, int layer, const TokenRoutes& routes,
                     std::span<const std::byte> rows) = 0;
  virtual Ready next(int lane, WorkPart& part) = 0;
  virtual void done(const WorkPart& part) = 0;
  virtual void finish(int lane, std::span<float> out) = 0;
  // Moves on what is under way, in all lanes: for callers who compute long without it.
  virtual void progress() {}
  // Blocks until something has arrived or left.
  virtual void wait() {}

  // Why rows pass in messages inside this node though Intra::kAuto was asked for, the same on all
  // its ranks; empty: they do not, or it was not.
  virtual std::string intra_trouble() const { return ""; }

  // As they are now; the reference is good until the next call.
  virtual const ExchangeCounters& counters() const = 0;
  virtual void reset_counters() = 0;
};

struct ExchangeOptions {
  ExchangeKind kind = ExchangeKind::kHierarchical;
  Reduction reduction = Reduction::kFp32;
  Element element = Element::kBf16;
  int hidden = 0;
  int layers = 0;
  int experts = 65536;  // experts a layer: ids from other ranks are checked against it
  Overlap overlap = Overlap::kNone;
  Intra intra = Intra::kMpi;
  Packing packing = Packing::kSums;
  Even even = Even::kNone;
};
// Bytes that a rank maps for its node to share, unless Intra::kMpi; pages that nobody writes take
// no room.
std::size_t shared_bytes(Overlap overlap, const Topology& topology);

// Equal options on every rank (each message carries their hash; Error kPeer where it differs).
// transport.size() must equal topology.devices(); at most 256 devices a node. Both must outlive the
// exchange.
std::unique_ptr<Exchange> make_exchange(const ExchangeOptions& options, const Topology& topology,
                                        Transport& transport);

}  // namespace gracemoe
