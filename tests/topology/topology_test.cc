#include "topology/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const std::string& text) {
  try {
    Topology::parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(Topology, GridNumbersDevicesNodeByNode) {
  const Topology t = Topology::grid(2, 4);
  EXPECT_EQ(t.nodes(), 2);
  EXPECT_EQ(t.devices(), 8);
  EXPECT_EQ(t.node_of(3), 0);
  EXPECT_EQ(t.node_of(4), 1);
  EXPECT_EQ(t.local_index(6), 2);
  EXPECT_TRUE(t.uniform());
  EXPECT_EQ(t.to_string(), "2x4");
}

TEST(Topology, UnevenNodes) {
  const Topology t = Topology::parse("3,1,2");
  EXPECT_EQ(t.nodes(), 3);
  EXPECT_EQ(t.devices(), 6);
  EXPECT_THAT(t.devices_per_node(), ElementsAre(3, 1, 2));
  EXPECT_EQ(t.first_device(2), 4);
  EXPECT_FALSE(t.uniform());
  EXPECT_EQ(t.to_string(), "3,1,2");
}

TEST(Topology, PeersShareTheLocalIndexModuloTheNodesSize) {
  const Topology t = Topology::of({3, 2});
  EXPECT_EQ(t.peer_on(0, 1), 3);
  EXPECT_EQ(t.peer_on(1, 1), 4);
  EXPECT_EQ(t.peer_on(2, 1), 3);  // 2 mod 2 = 0
  EXPECT_EQ(t.peer_on(4, 0), 1);
}

TEST(Topology, TextReadsBackAsTheSame) {
  for (const char* text : {"1x1", "2x2", "16x8", "3,1", "1,2,3,4"})
    EXPECT_EQ(Topology::parse(Topology::parse(text).to_string()), Topology::parse(text)) << text;
  EXPECT_EQ(Topology::parse("2,2"), Topology::grid(2, 2));
  EXPECT_EQ(Topology::parse("4"), Topology::grid(1, 4));
}

TEST(Topology, RefusesWhatIsNoShape) {
  for (const char* text : {"", "x", "2x", "x2", "0x2", "2x0", "2x-1", "2x2x2", "a", "1,,2", "1,",
                           "1.5", "99999999999", "2 x 2"})
    EXPECT_THAT(refusal(text), HasSubstr("topology: got '" + std::string(text) + "'")) << text;
  EXPECT_THAT(refusal("65535x2"), HasSubstr("at most 65535 in all"));
  EXPECT_THROW(Topology::of({}), Error);
  EXPECT_THROW(Topology::of({2, 0}), Error);
  EXPECT_THROW(Topology::grid(0, 1), Error);
}

}  // namespace
}  // namespace gracemoe
