#include "planner/c2r.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/baselines.h"
#include "planner/grouping.h"
#include "planner/random_inputs.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

double inside(const Affinity& affinity, const Groups& groups) {
  return affinity_inside(affinity, groups);
}

TEST(C2r, FindsPlantedGroups) {
  std::vector<double> values(36);
  const std::vector<std::vector<int>> planted{{0, 3}, {1, 5}, {2, 4}};
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = 0; j < 6; ++j) values[i * 6 + j] = i == j ? 0 : 1;
  for (const auto& pair : planted) {
    const auto a = static_cast<std::size_t>(pair[0]), b = static_cast<std::size_t>(pair[1]);
    values[a * 6 + b] = values[b * 6 + a] = 10;
  }
  EXPECT_THAT(c2r_groups({6, values}, 3), ElementsAre(planted[0], planted[1], planted[2]));
}

TEST(C2r, SizesAreEvenAndNoExchangeRaisesWhatIsInside) {
  Random random(5);
  for (int i = 0; i < 60; ++i) {
    const int experts = 2 + random.below(30), devices = 1 + random.below(6);
    const auto values = random_affinity(random, experts);
    const Affinity affinity{experts, values};
    const Groups groups = c2r_groups(affinity, devices);
    ASSERT_EQ(groups.size(), static_cast<std::size_t>(devices));
    std::vector<int> all(static_cast<std::size_t>(experts));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(all_members(groups), all);
    const Groups contiguous = contiguous_groups(experts, devices);
    for (std::size_t d = 0; d < groups.size(); ++d)
      EXPECT_EQ(groups[d].size(), contiguous[d].size());
    // No exchange of two experts is better, counted from scratch.
    const double reached = inside(affinity, groups);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (std::size_t h = 0; h < g; ++h) {
        for (std::size_t a = 0; a < groups[g].size(); ++a) {
          for (std::size_t b = 0; b < groups[h].size(); ++b) {
            Groups other = groups;
            std::swap(other[g][a], other[h][b]);
            ASSERT_LE(inside(affinity, other), reached + 1e-6);
          }
        }
      }
    }
  }
}

TEST(C2r, DegenerateInputs) {
  const std::vector<double> none(16, 0.0);
  EXPECT_THAT(c2r_groups({4, none}, 2), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
  EXPECT_THAT(c2r_groups({4, none}, 1), ElementsAre(ElementsAre(0, 1, 2, 3)));
  const Groups sparse = c2r_groups({1, std::vector<double>{0}}, 3);
  EXPECT_THAT(sparse, ElementsAre(IsEmpty(), IsEmpty(), ElementsAre(0)));
}

}  // namespace
}  // namespace gracemoe
