#include "routing/homes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/hash.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int> deal(const std::vector<std::int64_t>& tokens, int devices) {
  return deal_homes(tokens, devices);
}

TEST(DealHomes, EqualRequestsGoRoundRobin) {
  EXPECT_THAT(deal({5, 5, 5, 5, 5}, 3), ElementsAre(0, 1, 2, 0, 1));
}

TEST(DealHomes, LongestFirstToTheDeviceWithTheFewestTokens) {
  EXPECT_THAT(deal({1, 9, 1, 2, 6, 1}, 2), ElementsAre(1, 0, 0, 1, 1, 1));
}

TEST(DealHomes, OneDeviceAndNoRequests) {
  EXPECT_THAT(deal({3, 2}, 1), ElementsAre(0, 0));
  EXPECT_THAT(deal({}, 4), IsEmpty());
}

TEST(DealHomes, DevicesEndUpNearlyEqual) {
  std::vector<std::int64_t> tokens;
  for (std::uint64_t i = 0; i < 500; ++i)
    tokens.push_back(1 + static_cast<std::int64_t>(hash_combine(3, i) % 400));
  std::vector<std::int64_t> dealt(7);
  const std::vector<int> homes = deal(tokens, 7);
  for (std::size_t i = 0; i < homes.size(); ++i)
    dealt[static_cast<std::size_t>(homes[i])] += tokens[i];
  const auto [least, most] = std::minmax_element(dealt.begin(), dealt.end());
  EXPECT_LE(*most - *least, 5);  // of about 14,000
}

}  // namespace
}  // namespace gracemoe
