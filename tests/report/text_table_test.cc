#include "report/text_table.h"

#include <gtest/gtest.h>

#include <map>

namespace gracemoe {
namespace {

Colour chosen(bool terminal, bool launched, const std::map<std::string, std::string>& variables) {
  return choose_colour(terminal, launched, [&](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  });
}

TEST(Colours, OnATerminalOfOnesOwnOrWhereAskedFor) {
  EXPECT_EQ(chosen(true, false, {}), Colour::kAlways);
  EXPECT_EQ(chosen(false, false, {}), Colour::kNever);
  EXPECT_EQ(chosen(true, true, {}), Colour::kNever);  // a terminal of the launcher's
  EXPECT_EQ(chosen(true, true, {{"CLICOLOR_FORCE", "1"}}), Colour::kAlways);
  EXPECT_EQ(chosen(false, false, {{"CLICOLOR_FORCE", "1"}}), Colour::kAlways);
  EXPECT_EQ(chosen(false, false, {{"CLICOLOR_FORCE", "0"}}), Colour::kNever);
  EXPECT_EQ(chosen(true, false, {{"NO_COLOR", "1"}, {"CLICOLOR_FORCE", "1"}}), Colour::kNever);
  EXPECT_EQ(chosen(true, false, {{"NO_COLOR", ""}}), Colour::kAlways);
}

}  // namespace
}  // namespace gracemoe
