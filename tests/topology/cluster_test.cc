#include "topology/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// As people write one: unequal devices and links, most keys left out.
const std::string kHandWritten = R"({
  "format": "gracemoe-cluster", "version": 1,
  "nodes": [
    {"devices": 2},
    {"devices": [{"speed": 0.5, "memory_gb": 40}, {}, {"speed": 2}],
     "link": {"gbit_per_s": 300, "latency_us": 3}},
    {"devices": 1}
  ],
  "links": {
    "inter_node": {"gbit_per_s": 10, "latency_us": 50},
    "pairs": [{"nodes": [2, 0], "gbit_per_s": 1, "latency_us": 200}]
  },
  "compute": {"tflops": 2, "hidden": 64}
})";

Cluster parse(const std::string& text) {
  return parse_cluster(text, "c.json");
}

// The hand-written file with one piece exchanged.
std::string with(const std::string& piece, const std::string& other) {
  const auto at = kHandWritten.find(piece);
  EXPECT_NE(at, std::string::npos) << piece;
  return std::string(kHandWritten).replace(at, piece.size(), other);
}

TEST(Cluster, UniformHasTheDefaultFigures) {
  const Cluster c = Cluster::uniform(Topology::grid(2, 3));
  EXPECT_EQ(c.devices, std::vector<DeviceSpec>(6));
  EXPECT_EQ(c.link(0, 2), kDefaultIntraNode);
  EXPECT_EQ(c.link(2, 3), kDefaultInterNode);
  EXPECT_DOUBLE_EQ(c.link(2, 3).seconds(25e9 / 8), 1 + 20e-6);
}

TEST(Cluster, ReadsWhatIsWrittenByHand) {
  const Cluster c = parse(kHandWritten);
  EXPECT_EQ(c.topology.to_string(), "2,3,1");
  EXPECT_EQ(c.devices[1], DeviceSpec{});
  EXPECT_EQ(c.devices[2], (DeviceSpec{0.5, 40e9}));
  EXPECT_EQ(c.devices[4].speed, 2);
  EXPECT_EQ(c.node_link(0, 0), kDefaultIntraNode);
  EXPECT_EQ(c.link(2, 4), (LinkSpec{3e-6, 300e9 / 8}));
  EXPECT_DOUBLE_EQ(c.node_link(0, 1).bytes_per_s, 1.25e9);
  EXPECT_DOUBLE_EQ(c.node_link(0, 1).latency_s, 50e-6);
  EXPECT_DOUBLE_EQ(c.node_link(0, 2).bytes_per_s, 125e6);
  EXPECT_EQ(c.link(0, 5), c.link(5, 1));
  EXPECT_EQ(c.compute.flops_per_s, 2e12);
  EXPECT_EQ(c.compute.weight_bytes_per_s, ComputeSpec{}.weight_bytes_per_s);
  EXPECT_EQ(c.compute.hidden, 64);
}

TEST(Cluster, TextReadsBackAndIsStable) {
  Cluster c = parse(kHandWritten);
  c.measured = "two \"machines\"\n";
  c.inter_node = {1.23456789e-6, 987654321.0};
  const std::string text = cluster_text(c);
  const Cluster again = parse(text);
  EXPECT_EQ(cluster_text(again), text);
  EXPECT_EQ(again.topology, c.topology);
  EXPECT_EQ(again.devices, c.devices);
  EXPECT_EQ(again.measured, c.measured);
  EXPECT_NEAR(again.inter_node.bytes_per_s, c.inter_node.bytes_per_s, 1e3);
  EXPECT_NEAR(again.inter_node.latency_s, c.inter_node.latency_s, 1e-11);
  EXPECT_EQ(again.pair_overrides.size(), 1U);
  EXPECT_EQ(again.node_overrides.size(), 1U);
  const Cluster plain = Cluster::uniform(Topology::grid(3, 2));
  EXPECT_EQ(cluster_text(parse(cluster_text(plain))), cluster_text(plain));
}

TEST(Cluster, FilesAndOptions) {
  const TempDir folder;
  write_cluster(folder / "c.json", parse(kHandWritten));
  EXPECT_EQ(read_cluster(folder / "c.json").topology.to_string(), "2,3,1");
  EXPECT_EQ(cluster_from_option((folder / "c.json").string()).devices.size(), 6U);
  EXPECT_EQ(cluster_from_option("2x4"), Cluster::uniform(Topology::grid(2, 4)));
  EXPECT_THAT(error_of([&] { cluster_from_option((folder / "no.json").string()); }),
              HasSubstr("no.json"));
  EXPECT_THAT(error_of([] { cluster_from_option("two"); }, ErrorCategory::kUsage),
              HasSubstr("'two'"));
}

TEST(Cluster, RefusesWhatCannotBeMeant) {
  const auto refused = [](const std::string& piece, const std::string& other) {
    return error_of([&] { parse(with(piece, other)); });
  };
  EXPECT_THAT(refused("gracemoe-cluster", "gracemoe-plan"), HasSubstr("c.json: format"));
  EXPECT_THAT(refused("\"version\": 1", "\"version\": 2"), HasSubstr("c.json: version"));
  EXPECT_THAT(refused("latency_us\": 50", "latencey_us\": 50"), HasSubstr("latencey_us"));
  EXPECT_THAT(refused("\"gbit_per_s\": 10, ", ""), HasSubstr("links.inter_node.gbit_per_s"));
  EXPECT_THAT(refused("\"gbit_per_s\": 10", "\"gbit_per_s\": 0"),
              HasSubstr("wanted a number from 1e-09 to 1e+12"));
  EXPECT_THAT(refused("\"latency_us\": 50", "\"latency_us\": -1"), HasSubstr("latency_us"));
  EXPECT_THAT(refused("\"speed\": 0.5", "\"speed\": 0"), HasSubstr("nodes[1]: devices[0]: speed"));
  EXPECT_THAT(refused("\"memory_gb\": 40", "\"memory_gb\": \"x\""), HasSubstr("memory_gb"));
  EXPECT_THAT(refused("{\"devices\": 2}", "{\"devices\": 0}"), HasSubstr("nodes[0]: devices"));
  EXPECT_THAT(refused("{\"devices\": 2}", "{\"devices\": 70000}"), HasSubstr("65535"));
  EXPECT_THAT(refused("{\"devices\": 2}", "{\"devices\": []}"), HasSubstr("at least one device"));
  EXPECT_THAT(refused("{\"devices\": 2}", "{\"devices\": 65535}"), HasSubstr("65535"));
  EXPECT_THAT(refused("{\"devices\": 2}", "7"), HasSubstr("nodes[0]"));
  EXPECT_THAT(refused("[2, 0]", "[2, 3]"), HasSubstr("two different nodes from 0 to 2"));
  EXPECT_THAT(refused("[2, 0]", "[1, 1]"), HasSubstr("two different nodes"));
  EXPECT_THAT(refused("[2, 0]", "[1, 99999999999999999999]"), HasSubstr("two different nodes"));
  EXPECT_THAT(refused("}]\n  }", "}, {\"nodes\": [0, 2], \"gbit_per_s\": 1, \"latency_us\": 1}]}"),
              HasSubstr("0 and 2 again"));
  EXPECT_THAT(refused("\"hidden\": 64", "\"hidden\": 1.5"), HasSubstr("compute.hidden"));
  EXPECT_THAT(
      error_of([] { parse(R"({"format": "gracemoe-cluster", "version": 1, "nodes": []})"); }),
      HasSubstr("at least one node"));
  EXPECT_THAT(error_of([] { parse("[]"); }), HasSubstr("a JSON object"));
  EXPECT_THAT(error_of([] { parse("{"); }), HasSubstr("not valid JSON"));
}

// Every cut of a good file is refused, none crashes.
TEST(Cluster, RefusesEveryTruncation) {
  for (std::size_t length = 0; length < kHandWritten.size(); ++length)
    EXPECT_NE(error_of([&] { parse(kHandWritten.substr(0, length)); }), "") << length;
}

}  // namespace
}  // namespace gracemoe
