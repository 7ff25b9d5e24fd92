#include "exchange/exchange.h"

#include <gtest/gtest.h>

#include "base/bf16.h"
#include "base/error.h"
#include "exchange/exchange_case.h"
#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

constexpr ExchangeKind kKinds[] = {ExchangeKind::kFlatPerExpert, ExchangeKind::kFlatPerDevice,
                                   ExchangeKind::kHierarchical};
constexpr Reduction kReductions[] = {Reduction::kExact, Reduction::kFp32, Reduction::kBf16};

ExchangeCase make_case(const std::string& topology, ExchangeKind kind, Reduction reduction,
                       Element element) {
  ExchangeCase c;
  c.topology = Topology::parse(topology);
  // An odd width leaves float32 partial sums unaligned among bf16 rows.
  c.options = {kind, reduction, element, 13, 2, 16};
  return c;
}

class OverTopologies : public testing::TestWithParam<const char*> {};

TEST_P(OverTopologies, EveryKindReductionElementAndPatternMatchesTheTwins) {
  for (const ExchangeKind kind : kKinds) {
    for (const Reduction reduction : kReductions) {
      for (const Element element : {Element::kBf16, Element::kFloat32}) {
        for (const Pattern pattern : kAllPatterns) {
          ExchangeCase c = make_case(GetParam(), kind, reduction, element);
          c.pattern = pattern;
          ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
            run_case(c, transport);
          })) << c.name();
        }
      }
    }
  }
}

TEST_P(OverTopologies, AnyTopKAndSeed) {
  for (const int k : {1, 2, 3, 8}) {
    for (const ExchangeKind kind : kKinds) {
      for (const Reduction reduction : kReductions) {
        ExchangeCase c = make_case(GetParam(), kind, reduction, Element::kBf16);
        c.top_k = k;
        c.seed = static_cast<std::uint64_t>(100 + k);
        c.tokens = 20;
        ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
          run_case(c, transport);
        })) << c.name();
      }
    }
  }
}

// Every way to do other things meanwhile, and both ways inside a node, give what the plain one
// does.
TEST_P(OverTopologies, EveryOverlapAndWayInsideANodeMatchesTheTwins) {
  for (const Overlap overlap : {Overlap::kNone, Overlap::kStage, Overlap::kBatch}) {
    for (const Intra intra : {Intra::kMpi, Intra::kShared}) {
      if (overlap == Overlap::kNone && intra == Intra::kMpi) continue;  // that is the plain one
      for (const ExchangeKind kind : kKinds) {
        for (const Reduction reduction : kReductions) {
          for (const Pattern pattern : kAllPatterns) {
            ExchangeCase c = make_case(GetParam(), kind, reduction, Element::kBf16);
            c.options.overlap = overlap;
            c.options.intra = intra;
            c.pattern = pattern;
            c.grid = pattern == Pattern::kIdleDevices;
            c.top_k = pattern == Pattern::kOneDevice ? c.options.experts : 4;
            ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
              run_case(c, transport);
            })) << c.name();
          }
        }
      }
    }
  }
}

// What the default reduction stands on: on a grid partial sums change no bit.
TEST_P(OverTopologies, OnAGridEveryReductionIsExact) {
  for (const ExchangeKind kind : kKinds) {
    for (const Reduction reduction : kReductions) {
      for (const Element element : {Element::kBf16, Element::kFloat32}) {
        ExchangeCase c = make_case(GetParam(), kind, reduction, element);
        c.grid = true;
        c.top_k = 8;
        c.tokens = 20;
        for (const Packing packing : {Packing::kNone, Packing::kSums, Packing::kAll}) {
          c.options.packing = packing;
          ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
            run_case(c, transport);
          })) << c.name();
        }
      }
    }
  }
}

// Handing tokens over inside nodes changes no result, whatever else is done.
TEST_P(OverTopologies, EvenedTokensMatchTheTwins) {
  for (const Overlap overlap : {Overlap::kNone, Overlap::kStage, Overlap::kBatch}) {
    for (const Intra intra : {Intra::kMpi, Intra::kShared}) {
      for (const ExchangeKind kind : kKinds) {
        for (const Pattern pattern : kAllPatterns) {
          const Reduction reduction = pattern == Pattern::kRandom      ? Reduction::kBf16
                                      : pattern == Pattern::kOneExpert ? Reduction::kExact
                                                                       : Reduction::kFp32;
          ExchangeCase c = make_case(GetParam(), kind, reduction, Element::kBf16);
          c.options.overlap = overlap;
          c.options.intra = intra;
          c.options.packing = Packing::kAll;
          c.options.even = pattern == Pattern::kOneDevice ? Even::kAuto : Even::kAlways;
          c.uneven = overlap != Overlap::kStage;
          c.pattern = pattern;
          c.grid = pattern == Pattern::kIdleDevices;
          c.tokens = 40;
          ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
            run_case(c, transport);
          })) << c.name();
        }
      }
    }
  }
}

// Rows of several blocks, the last one short.
TEST_P(OverTopologies, WideRowsPackAndUnpack) {
  for (const ExchangeKind kind : kKinds) {
    ExchangeCase c = make_case(GetParam(), kind, Reduction::kFp32, Element::kBf16);
    c.options.hidden = 301;
    c.grid = true;
    for (const Packing packing : {Packing::kSums, Packing::kRows}) {
      c.options.packing = packing;
      ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
        run_case(c, transport);
      })) << c.name();
    }
  }
}

// Replies of so wide rows travel in parts of 10 rows between nodes: packed, in units, as rows; more
// of them in one step than in another.
TEST_P(OverTopologies, RepliesInPartsMatchTheTwins) {
  struct Way {
    ExchangeKind kind;
    Reduction reduction;
    Packing packing;
    Element element;
    Overlap overlap;
  };
  for (const Way& way : {Way{ExchangeKind::kHierarchical, Reduction::kFp32, Packing::kSums,
                             Element::kBf16, Overlap::kBatch},
                         Way{ExchangeKind::kHierarchical, Reduction::kFp32, Packing::kNone,
                             Element::kBf16, Overlap::kStage},
                         Way{ExchangeKind::kHierarchical, Reduction::kExact, Packing::kNone,
                             Element::kFloat32, Overlap::kStage},
                         Way{ExchangeKind::kFlatPerDevice, Reduction::kFp32, Packing::kSums,
                             Element::kBf16, Overlap::kStage},
                         Way{ExchangeKind::kFlatPerExpert, Reduction::kBf16, Packing::kNone,
                             Element::kBf16, Overlap::kStage}}) {
    ExchangeCase c = make_case(GetParam(), way.kind, way.reduction, way.element);
    if (c.topology.nodes() == 1) return;
    c.options.hidden = 6001;
    c.options.overlap = way.overlap;
    c.options.packing = way.packing;
    c.tokens = 30;
    c.steps = way.overlap == Overlap::kBatch ? 1 : 2;
    c.grid = true;
    ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
      run_case(c, transport);
    })) << c.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Exchange, OverTopologies,
                         testing::Values("1x1", "1x2", "2x1", "2x2", "1x3", "3x1", "2,1", "2x3",
                                         "4x1", "1,3,2"),
                         [](const auto& param) {
                           std::string name = param.param;
                           for (char& letter : name) {
                             if (letter == ',') letter = '_';
                           }
                           return name;
                         });

TEST(Exchange, ASingleDeviceUsesTheCallersRows) {
  const ExchangeCase c =
      make_case("1x1", ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16);
  const auto transport = make_local_transport();
  const auto exchange = make_exchange(c.options, c.topology, *transport);
  ExchangeCase full = c;
  full.pattern = Pattern::kIdleDevices;
  const CaseTokens mine = make_tokens(full, 0, 0);
  const ExpertWork& work = exchange->dispatch(0, mine.routes(), mine.rows);
  EXPECT_EQ(work.row_data, mine.rows.data());
  EXPECT_EQ(work.rows, mine.tokens);
  EXPECT_EQ(work.entries(), mine.tokens * c.top_k);
}

TEST(Exchange, OneRowANodeCrossesWhereFlatKindsSendMore) {
  // One token, its four experts all on the two devices of the other node.
  const Topology topology = Topology::grid(2, 2);
  for (const ExchangeKind kind : kKinds) {
    run_ranks(4, [&](Transport& transport) {
      ExchangeOptions options{kind, Reduction::kFp32, Element::kBf16, 8, 1, 4};
      options.packing = Packing::kNone;
      const auto exchange = make_exchange(options, topology, transport);
      const std::vector<std::uint16_t> expert{3, 1, 2, 0};
      const std::vector<float> weight{0.4F, 0.3F, 0.2F, 0.1F};
      const std::vector<std::int32_t> device{2, 3, 2, 2};
      const Bytes row(16);
      TokenRoutes routes;
      if (transport.rank() == 0) routes = {1, 4, expert, weight, device};
      const ExpertWork& work = exchange->dispatch(
          0, routes, std::span(row).first(transport.rank() == 0 ? row.size() : 0));
      const Bytes outputs(static_cast<std::size_t>(work.entries()) * 16);
      std::vector<float> out(transport.rank() == 0 ? 8 : 0);
      exchange->combine(outputs, out);
      const LayerCounters& counters = exchange->counters().layers[0];
      std::vector<std::int64_t> all{counters.cross_node_rows, counters.dispatch_payload.cross_node,
                                    counters.dispatch_payload.intra_node,
                                    counters.combine_payload.cross_node,
                                    counters.combine_payload.intra_node};
      transport.sum(std::span(all));
      // hierarchical: one row across, handed from 2 to 3; back: raw from 3 to 2, a partial across.
      const std::vector<std::int64_t> wanted =
          kind == ExchangeKind::kFlatPerExpert   ? std::vector<std::int64_t>{4, 64, 0, 64, 0}
          : kind == ExchangeKind::kFlatPerDevice ? std::vector<std::int64_t>{2, 32, 0, 32 + 16, 0}
                                                 : std::vector<std::int64_t>{1, 16, 16, 32, 16};
      EXPECT_EQ(all, wanted) << to_string(kind);
    });
  }
}

// 40 rows of 4096 to the other node: 2^16 numbers a part are 16 rows.
TEST(Exchange, AReplyBetweenNodesTravelsInParts) {
  for (const Topology& topology : {Topology::grid(2, 1), Topology::grid(1, 2)}) {
    run_ranks(2, [&](Transport& transport) {
      ExchangeOptions options{
          ExchangeKind::kFlatPerDevice, Reduction::kFp32, Element::kBf16, 4096, 1, 1};
      options.overlap = Overlap::kStage;
      const auto exchange = make_exchange(options, topology, transport);
      const int tokens = transport.rank() == 0 ? 40 : 0;
      const auto count = static_cast<std::size_t>(tokens);
      const std::vector<std::uint16_t> expert(count, 0);
      const std::vector<float> weight(count, 1.0F);
      const std::vector<std::int32_t> device(count, 1);
      const Bytes rows(count * 8192);
      const ExpertWork& work = exchange->dispatch(0, {tokens, 1, expert, weight, device}, rows);
      const std::vector<bf16> ones(static_cast<std::size_t>(work.entries()) * 4096, to_bf16(1.0F));
      std::vector<float> out(count * 4096);
      exchange->combine(std::as_bytes(std::span(ones)), out);
      EXPECT_EQ(out, std::vector<float>(count * 4096, 1.0F));
      const std::int64_t replies = transport.rank() == 1 && topology.nodes() == 2 ? 3 : 1;
      EXPECT_EQ(exchange->counters().layers[0].messages, 1 + replies) << topology.to_string();
    });
  }
}

TEST(Exchange, CountersStartAgainAtZero) {
  const ExchangeCase c =
      make_case("1x1", ExchangeKind::kFlatPerDevice, Reduction::kExact, Element::kBf16);
  const auto transport = make_local_transport();
  const auto exchange = make_exchange(c.options, c.topology, *transport);
  ExchangeCase full = c;
  full.pattern = Pattern::kIdleDevices;
  const CaseTokens mine = make_tokens(full, 0, 0);
  exchange->dispatch(1, mine.routes(), mine.rows);
  EXPECT_EQ(exchange->counters().layers[1].tokens, mine.tokens);
  exchange->reset_counters();
  EXPECT_EQ(exchange->counters().layers.size(), 2U);
  EXPECT_EQ(exchange->counters().layers[1].tokens, 0);
}

TEST(Exchange, NamesAreReadAsTheyAreWritten) {
  for (const ExchangeKind kind : kKinds) EXPECT_EQ(parse_exchange_kind(to_string(kind)), kind);
  for (const Reduction r : kReductions) EXPECT_EQ(parse_reduction(to_string(r)), r);
  EXPECT_EQ(error_of([] { parse_exchange_kind("ring"); }, ErrorCategory::kUsage),
            "exchange: got 'ring', wanted one of flat-expert, flat-device, hierarchical");
  EXPECT_EQ(error_of([] { parse_reduction("fp64"); }, ErrorCategory::kUsage),
            "reduction: got 'fp64', wanted one of exact, fp32, bf16");
}

TEST(Exchange, WaysToOverlapAreReadAsTheyAreWritten) {
  for (const Overlap o : {Overlap::kNone, Overlap::kStage, Overlap::kBatch, Overlap::kAuto})
    EXPECT_EQ(parse_overlap(to_string(o)), o);
  for (const Packing p :
       {Packing::kNone, Packing::kSums, Packing::kRows, Packing::kAll, Packing::kAuto})
    EXPECT_EQ(parse_packing(to_string(p)), p);
  for (const Intra i : {Intra::kMpi, Intra::kShared, Intra::kAuto})
    EXPECT_EQ(parse_intra(to_string(i)), i);
  for (const Even e : {Even::kNone, Even::kAuto, Even::kAlways})
    EXPECT_EQ(parse_even(to_string(e)), e);
  EXPECT_EQ(error_of([] { parse_overlap("full"); }, ErrorCategory::kUsage),
            "overlap: got 'full', wanted one of none, stage, batch, auto");
  EXPECT_EQ(error_of([] { parse_intra("nvlink"); }, ErrorCategory::kUsage),
            "intra: got 'nvlink', wanted one of mpi, shared, auto");
}

TEST(Exchange, BrokenContractsAreErrors) {
  const auto transport = make_local_transport();
  const ExchangeOptions options{
      ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 4, 1, 8};
  const Topology one = Topology::grid(1, 1);
  const auto broken = [&](auto code) { return error_of(code, ErrorCategory::kInternal); };
  EXPECT_NE(broken([&] {
              make_exchange(options, Topology::grid(1, 2), *transport);
            }).find("as many ranks"),
            std::string::npos);
  const auto exchange = make_exchange(options, one, *transport);
  const std::vector<std::uint16_t> expert{1};
  const std::vector<float> weight{1.0F};
  const std::vector<std::int32_t> device{0};
  const std::vector<std::int32_t> elsewhere{1};
  const Bytes row(8);
  std::vector<float> out(4);
  EXPECT_NE(broken([&] { exchange->combine({}, out); }).find("combine without dispatch"),
            std::string::npos);
  EXPECT_NE(broken([&] {
              exchange->dispatch(1, {1, 1, expert, weight, device}, row);
            }).find("layer out of range"),
            std::string::npos);
  EXPECT_NE(broken([&] {
              exchange->dispatch(0, {1, 1, expert, weight, elsewhere}, row);
            }).find("device out of range"),
            std::string::npos);
  EXPECT_NE(broken([&] {
              exchange->dispatch(0, {1, 2, expert, weight, device}, row);
            }).find("[tokens, top_k]"),
            std::string::npos);
  const std::vector<float> grids(2);
  EXPECT_NE(broken([&] {
              exchange->dispatch(0, {1, 1, expert, weight, device, grids}, row);
            }).find("grid is not [tokens]"),
            std::string::npos);
  EXPECT_NE(broken([&] {
              exchange->dispatch(0, {1, 1, expert, weight, device}, {});
            }).find("[tokens, hidden]"),
            std::string::npos);
  exchange->dispatch(0, {1, 1, expert, weight, device}, row);
  EXPECT_NE(broken([&] {
              exchange->dispatch(0, {1, 1, expert, weight, device}, row);
            }).find("dispatch again"),
            std::string::npos);
  EXPECT_NE(broken([&] { exchange->combine({}, out); }).find("[entries, hidden]"),
            std::string::npos);
}

}  // namespace
}  // namespace gracemoe
