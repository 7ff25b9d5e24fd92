// Dispatch and combine of one MoE layer (method.md section 5): rows go to the devices that host the chosen expert
// instances, the experts' outputs come back as weighted sums.
//
// Element types: rows travel as bf16 (2 bytes an element), or as float32 (reference backend). Shapes: T tokens at home on this device,
// H hidden, k slots a token, E entries = (row, expert instance) pairs computed on this device, R rows present on this device.
//
// Reduction (what comes back):
//   exact  every entry's output row unreduced; home adds weight * row in top-k order in float32: bit-identical to one rank.
//   fp32   the default. Of the j entries of one token that share a way back: j * element size <= 4 -> unreduced rows (exact, no more bytes);
//          else one float32 partial sum. Home adds in a fixed order, so that a result is reproducible for a given plan and topology.
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
  kFlatPerExpert,  // "flat-expert": one copy a (token, expert) to other devices; each output row returns unreduced   (vanilla)
  kFlatPerDevice,  // "flat-device": one copy a (token, device); partial sums merged on the device before the return  (Occult)
  kHierarchical,   // "hierarchical": one copy a (token, other node), handed on inside the node; merged a node on the way back (HSC)
};
ExchangeKind parse_exchange_kind(const std::string& text);  // Error (kUsage) on others
const char* to_string(ExchangeKind kind);

enum class Reduction { kExact, kFp32 };
Reduction parse_reduction(const std::string& text);  // "exact", "fp32"
const char* to_string(Reduction reduction);

enum class Element { kBf16, kFloat32 };
constexpr std::size_t element_size(Element e) { return e == Element::kBf16 ? 2 : 4; }

// The routing of this device's T tokens in one layer, slot j of token t at [t * k + j], in top-k order.
struct TokenRoutes {
  int tokens = 0;
  int top_k = 0;
  std::span<const std::uint16_t> expert;  // [tokens, top_k]
  std::span<const float> weight;          // [tokens, top_k]
  std::span<const std::int32_t> device;   // [tokens, top_k] device of the chosen instance
};

// What a device has to compute: `rows` and the entries that use them, grouped by expert. An entry's output goes to [entry, H].
struct ExpertWork {
  int hidden = 0;
  Element element = Element::kBf16;
  int rows = 0;
  const std::byte* row_data = nullptr;          // [rows, hidden] elements
  std::vector<std::int32_t> experts;            // [groups] distinct expert ids, ascending
  std::vector<std::int32_t> offsets;            // [groups + 1] entries of group i: offsets[i] .. offsets[i+1]-1
  std::vector<std::int32_t> row_of;             // [entries] which row the entry reads
  int entries() const { return static_cast<int>(row_of.size()); }
};

class Exchange {
 public:
  virtual ~Exchange() = default;
  // Collective: all ranks call dispatch and combine in turn, also with zero tokens. `rows` [tokens, hidden] in the element
  // type of the exchange. The work and its row_data live until combine() returns.
  virtual const ExpertWork& dispatch(int layer, const TokenRoutes& routes, std::span<const std::byte> rows) = 0;
  // outputs [entries, hidden] in the element type. Adds nothing: writes sum_j weight_j * output_j to out [tokens, hidden].
  virtual void combine(std::span<const std::byte> outputs, std::span<float> out) = 0;
  virtual const ExchangeCounters& counters() const = 0;
};

struct ExchangeOptions {
  ExchangeKind kind = ExchangeKind::kHierarchical;
  Reduction reduction = Reduction::kFp32;
  Element element = Element::kBf16;
  int hidden = 0;
  int layers = 0;
};
// transport.size() must equal topology.devices(). Both must outlive the exchange.
std::unique_ptr<Exchange> make_exchange(const ExchangeOptions& options, const Topology& topology, Transport& transport);

}  // namespace gracemoe
