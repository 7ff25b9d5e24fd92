#include "exchange/exchange.h"

#include <array>
#include <utility>

#include "base/error.h"
#include "exchange/exchange_base.h"

namespace gracemoe {
namespace {

constexpr std::array<std::pair<ExchangeKind, const char*>, 3> kKinds{{
    {ExchangeKind::kFlatPerExpert, "flat-expert"},
    {ExchangeKind::kFlatPerDevice, "flat-device"},
    {ExchangeKind::kHierarchical, "hierarchical"},
}};
constexpr std::array<std::pair<Reduction, const char*>, 3> kReductions{{
    {Reduction::kExact, "exact"},
    {Reduction::kFp32, "fp32"},
    {Reduction::kBf16, "bf16"},
}};
constexpr std::array<std::pair<Overlap, const char*>, 4> kOverlaps{{
    {Overlap::kNone, "none"},
    {Overlap::kStage, "stage"},
    {Overlap::kBatch, "batch"},
    {Overlap::kAuto, "auto"},
}};
constexpr std::array<std::pair<Intra, const char*>, 3> kIntras{{
    {Intra::kMpi, "mpi"},
    {Intra::kShared, "shared"},
    {Intra::kAuto, "auto"},
}};
constexpr std::array<std::pair<Packing, const char*>, 5> kPackings{{
    {Packing::kNone, "none"},
    {Packing::kSums, "sums"},
    {Packing::kRows, "rows"},
    {Packing::kAll, "all"},
    {Packing::kAuto, "auto"},
}};
constexpr std::array<std::pair<Even, const char*>, 3> kEvens{{
    {Even::kNone, "none"},
    {Even::kAuto, "auto"},
    {Even::kAlways, "always"},
}};
constexpr int kMaxRanks = 65535;       // a message names ranks in two bytes
constexpr int kMaxDevicesANode = 256;  // entries name a device inside its node in one byte

template <typename Names>
auto parse_name(const Names& names, const char* what, const std::string& text) {
  std::string wanted;
  for (const auto& [value, name] : names) {
    if (text == name) return value;
    wanted += (wanted.empty() ? "" : ", ") + std::string(name);
  }
  fail_usage({what, "'" + text + "'", "one of " + wanted, ""});
}

template <typename Names, typename Value>
const char* name_of(const Names& names, Value value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

// What tokens pass through, evened out before or not.
std::unique_ptr<Exchange> make_inner_exchange(const ExchangeOptions& options,
                                              const Topology& topology, Transport& transport) {
  const bool shares = options.intra != Intra::kMpi && topology.devices() > topology.nodes();
  if (shares || overlap_on(options.overlap, topology) != Overlap::kNone)
    return make_overlapped_exchange(options, topology, transport);
  if (options.kind == ExchangeKind::kHierarchical)
    return make_hierarchical_exchange(options, topology, transport);
  return make_flat_exchange(options, topology, transport);
}

}  // namespace

ExchangeKind parse_exchange_kind(const std::string& text) {
  return parse_name(kKinds, "exchange", text);
}
const char* to_string(ExchangeKind kind) {
  return name_of(kKinds, kind);
}
Reduction parse_reduction(const std::string& text) {
  return parse_name(kReductions, "reduction", text);
}
const char* to_string(Reduction reduction) {
  return name_of(kReductions, reduction);
}

Overlap parse_overlap(const std::string& text) {
  return parse_name(kOverlaps, "overlap", text);
}
const char* to_string(Overlap overlap) {
  return name_of(kOverlaps, overlap);
}
Overlap overlap_on(Overlap overlap, const Topology& topology) {
  return overlap == Overlap::kAuto && topology.nodes() == 1 ? Overlap::kNone : overlap;
}
Intra parse_intra(const std::string& text) {
  return parse_name(kIntras, "intra", text);
}
const char* to_string(Intra intra) {
  return name_of(kIntras, intra);
}

Packing parse_packing(const std::string& text) {
  return parse_name(kPackings, "packing", text);
}
const char* to_string(Packing packing) {
  return name_of(kPackings, packing);
}

Even parse_even(const std::string& text) {
  return parse_name(kEvens, "even", text);
}
const char* to_string(Even even) {
  return name_of(kEvens, even);
}

std::unique_ptr<Exchange> make_exchange(const ExchangeOptions& options, const Topology& topology,
                                        Transport& transport) {
  GM_CHECK(transport.size() == topology.devices(), "as many ranks as the topology has devices");
  GM_CHECK(transport.size() <= kMaxRanks, "more ranks than messages can name");
  GM_CHECK(options.packing != Packing::kAuto, "packing of the exchange is not settled");
  GM_CHECK(options.hidden > 0, "hidden of the exchange");
  GM_CHECK(options.layers > 0 && options.layers <= 65535, "layers of the exchange");
  GM_CHECK(options.experts > 0 && options.experts <= 65536, "experts of the exchange");
  for (int node = 0; node < topology.nodes(); ++node) {
    if (topology.devices_on(node) > kMaxDevicesANode) {
      fail_usage({"devices of node " + std::to_string(node),
                  std::to_string(topology.devices_on(node)),
                  "at most " + std::to_string(kMaxDevicesANode), "declare smaller nodes"});
    }
  }
  std::unique_ptr<Exchange> exchange = make_inner_exchange(options, topology, transport);
  const bool crosses = topology.nodes() > 1 && topology.devices() > topology.nodes();
  if (options.even == Even::kNone || !crosses) return exchange;
  return make_evened_exchange(options, topology, transport, std::move(exchange));
}

}  // namespace gracemoe
