// On a grid, sums do not depend on where and in which order they are made: every kind of exchange
// and both reductions give the bits that a direct sum in top-k order gives.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "exchange/exchange_case.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

constexpr float kGrid = 0x1p-16F;

std::map<int, std::vector<float>> outputs_of(const ExchangeCase& c, float grid) {
  std::map<int, std::vector<float>> all;
  for (int device = 0; device < c.topology.devices(); ++device) all[device];
  run_ranks(c.topology.devices(), [&](Transport& transport) {
    const auto exchange = make_exchange(c.options, c.topology, transport);
    const CaseTokens mine = make_tokens(c, transport.rank(), 0);
    const std::vector<float> grids(static_cast<std::size_t>(mine.tokens), grid);
    TokenRoutes routes = mine.routes();
    routes.grid = grids;
    const Bytes outputs = stand_in_experts(exchange->dispatch(0, routes, mine.rows));
    std::vector<float>& out = all.at(transport.rank());
    out.resize(static_cast<std::size_t>(mine.tokens * c.options.hidden));
    exchange->combine(outputs, out);
  });
  return all;
}

ExchangeCase case_of(const std::string& topology, ExchangeKind kind, Reduction reduction,
                     Element element) {
  ExchangeCase c;
  c.topology = Topology::parse(topology);
  c.options = {kind, reduction, element, 33, 1, 16};
  c.top_k = 8;
  c.tokens = 12;
  return c;
}

TEST(Grid, EveryWayOfSummingGivesTheSameBits) {
  for (const std::string topology : {"2x2", "2,1", "1x3", "4x1"}) {
    for (const Element element : {Element::kBf16, Element::kFloat32}) {
      const auto want = outputs_of(
          case_of(topology, ExchangeKind::kFlatPerExpert, Reduction::kExact, element), kGrid);
      for (const ExchangeKind kind : {ExchangeKind::kFlatPerExpert, ExchangeKind::kFlatPerDevice,
                                      ExchangeKind::kHierarchical}) {
        for (const Reduction reduction : {Reduction::kExact, Reduction::kFp32}) {
          EXPECT_EQ(outputs_of(case_of(topology, kind, reduction, element), kGrid), want)
              << topology << " " << to_string(kind) << " " << to_string(reduction);
        }
      }
    }
  }
}

// The law is not void: without a grid the order does show.
TEST(Grid, WithoutOneTheOrderShows) {
  const auto exact = outputs_of(
      case_of("2x2", ExchangeKind::kHierarchical, Reduction::kExact, Element::kFloat32), 0);
  const auto partial = outputs_of(
      case_of("2x2", ExchangeKind::kHierarchical, Reduction::kFp32, Element::kFloat32), 0);
  EXPECT_NE(exact, partial);
}

TEST(Grid, ChangesASumByLessThanHalfAGridATerm) {
  const ExchangeCase c =
      case_of("1x1", ExchangeKind::kHierarchical, Reduction::kExact, Element::kFloat32);
  const std::vector<float> with = outputs_of(c, kGrid).at(0), without = outputs_of(c, 0).at(0);
  ASSERT_FALSE(with.empty());
  for (std::size_t i = 0; i < with.size(); ++i) {
    EXPECT_NEAR(with[i], without[i], 8 * 0.5 * kGrid + 1e-5);
    EXPECT_EQ(std::remainder(with[i], kGrid), 0);
  }
}

}  // namespace
}  // namespace gracemoe
