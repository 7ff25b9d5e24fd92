#include "runtime/cut_chooser.h"

#include <gtest/gtest.h>

namespace gracemoe {
namespace {

// Seconds a row of a step, cut or whole.
struct Machine {
  double whole, cut;
  double seconds(bool is_cut, std::int64_t rows) const {
    return (is_cut ? cut : whole) * static_cast<double>(rows);
  }
};

int cuts(CutChooser& chooser, const Machine& machine, int steps, std::int64_t rows,
         std::int64_t prompt_rows = 0) {
  int count = 0;
  for (int i = 0; i < steps; ++i) {
    const bool cut = chooser.choose(rows, prompt_rows);
    chooser.took(machine.seconds(cut, rows));
    count += cut ? 1 : 0;
  }
  return count;
}

TEST(CutChooser, CutsWhereThatIsFaster) {
  CutChooser chooser;
  EXPECT_GE(cuts(chooser, {2e-3, 1e-3}, 100, 512), 98);
}

TEST(CutChooser, LeavesStepsWholeWhereThatIsFaster) {
  CutChooser chooser;
  // The first step, of which nothing is learnt, and one try.
  EXPECT_EQ(cuts(chooser, {1e-3, 2e-3}, 100, 512), 2);
}

TEST(CutChooser, LearnsNothingOfTheFirstStep) {
  CutChooser chooser;
  const bool first = chooser.choose(512, 512);
  chooser.took(1000);  // connections, page faults
  EXPECT_TRUE(first);
  EXPECT_GE(cuts(chooser, {2e-3, 1e-3}, 50, 512, 512), 48);
}

TEST(CutChooser, StepsOfOtherKindsAreJudgedApart) {
  CutChooser chooser;
  const Machine prefill{2e-3, 1e-3}, decode{1e-3, 2e-3};
  int prefills = 0, decodes = 0;
  for (int i = 0; i < 50; ++i) {
    prefills += cuts(chooser, prefill, 1, 64, 64);
    decodes += cuts(chooser, decode, 1, 64, 0);
  }
  EXPECT_GE(prefills, 48);
  EXPECT_LE(decodes, 2);
}

TEST(CutChooser, ComesBackWhenTheLinkChanges) {
  CutChooser chooser;
  cuts(chooser, {1e-3, 1.1e-3}, 40, 512);
  EXPECT_GE(cuts(chooser, {2e-3, 1e-3}, 100, 512), 80);
}

TEST(CutChooser, OneSlowTryIsForgotten) {
  CutChooser chooser;
  cuts(chooser, {2e-3, 1e-3}, 3, 512);
  ASSERT_TRUE(chooser.choose(512, 0));
  chooser.took(512 * 5e-3);  // a neighbour
  EXPECT_GE(cuts(chooser, {2e-3, 1e-3}, 200, 512), 150);
}

}  // namespace
}  // namespace gracemoe
