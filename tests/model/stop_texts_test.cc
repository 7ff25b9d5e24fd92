#include "model/stop_texts.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace gracemoe {
namespace {

TEST(StopTexts, CutsBeforeTheFirst) {
  EXPECT_EQ(before_stop("one two three", {"three", "two"}), "one ");
  EXPECT_EQ(before_stop("one", {"two"}), "one");
  EXPECT_EQ(before_stop("one", {}), "one");
  EXPECT_EQ(before_stop("stop", {"stop"}), "");
}

TEST(StopTexts, KeepsBackWhatMayBeginOne) {
  StopWatch watch({"END", "\n\n"});
  EXPECT_EQ(watch.push("a E"), "a ");
  EXPECT_EQ(watch.push("N"), "");
  EXPECT_EQ(watch.push("d\n"), "ENd");
  EXPECT_EQ(watch.push("b EN"), "\nb ");
  EXPECT_FALSE(watch.stopped());
  EXPECT_EQ(watch.push("D c"), "");
  EXPECT_TRUE(watch.stopped());
  EXPECT_EQ(watch.push("more"), "");
  EXPECT_EQ(watch.finish(), "");
}

// Random texts over two letters, cut anywhere, give what the whole gives.
TEST(StopTexts, PiecesAddUpToTheWhole) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    std::string text;
    for (std::uint64_t i = 0; i < 24; ++i) text += hash_combine(seed, i) % 2 == 0 ? 'a' : 'b';
    const std::vector<std::string> stops{"abba", "aaab", "babab"};
    StopWatch watch(stops);
    std::string whole;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + hash_combine(seed, 100 + at) % 4;
      whole += watch.push(std::string_view(text).substr(at, size));
      at += size;
    }
    whole += watch.finish();
    EXPECT_EQ(whole, before_stop(text, stops)) << text;
    EXPECT_EQ(watch.stopped(), whole.size() < text.size()) << text;
  }
}

}  // namespace
}  // namespace gracemoe
