#include "metrics/run_statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "metrics/sample_runs.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(RunStatistics, DerivedTimes) {
  const auto run = sample_run("a");  // all-to-all 2 s and 4 s
  EXPECT_DOUBLE_EQ(mean_all_to_all_s(run), 3.0);
  EXPECT_DOUBLE_EQ(max_all_to_all_s(run), 4.0);
  EXPECT_DOUBLE_EQ(mean_expert_compute_s(run), 0.5);
  EXPECT_DOUBLE_EQ(mean_idle_s(run), 0.25);
  EXPECT_DOUBLE_EQ(tokens_per_second(run), 2.0);
  EXPECT_DOUBLE_EQ(prefill_tokens_per_second(run), 20.0);
  EXPECT_DOUBLE_EQ(decode_tokens_per_second(run), 4.0);
}

TEST(RunStatistics, TrafficKeepsPayloadAndMetadataApart) {
  const auto run = sample_run("a");
  const auto total = total_traffic(run);
  EXPECT_EQ(total.dispatch_payload, (SentBytes{2'000'000, 100'000}));
  EXPECT_EQ(total.combine_payload, (SentBytes{1'500'000, 200'000}));
  EXPECT_EQ(total.payload(), (SentBytes{3'500'000, 300'000}));
  EXPECT_EQ(total.metadata(), (SentBytes{80, 40}));
  EXPECT_EQ(total.cross_node_rows, 12);
  EXPECT_EQ(total.messages, 3);
  EXPECT_DOUBLE_EQ(cross_node_mb(run), 3.5);
  EXPECT_DOUBLE_EQ(intra_node_mb(run), 0.3);
}

TEST(RunStatistics, TheBusiestLinkIsTheOneWhoseBusierDirectionCarriesMost) {
  auto run = sample_run("a");
  EXPECT_EQ(busiest_link(run).node, 0);
  EXPECT_EQ(busiest_link(run).bytes, 2'000'000);
  run.layers[0][1].dispatch_payload.cross_node = 600'000;
  EXPECT_EQ(busiest_link(run).node, 1);
  EXPECT_EQ(busiest_link(run).bytes, 2'100'000);
  run.layers[0][0].received_payload = 2'200'000;
  EXPECT_EQ(busiest_link(run).node, 0);
  EXPECT_EQ(busiest_link(run).bytes, 2'200'000);
  EXPECT_EQ(busiest_link({}).bytes, 0);
}

TEST(RunStatistics, LoadBalanceAveragesOverLayers) {
  const auto balance = load_balance(sample_run("a"));
  EXPECT_DOUBLE_EQ(balance.std, 1.0);             // (2 + 0) / 2
  EXPECT_DOUBLE_EQ(balance.max_over_mean, 1.25);  // (1.5 + 1) / 2
  EXPECT_DOUBLE_EQ(balance.worst_max_over_mean, 1.5);
}

TEST(RunStatistics, LayerWithoutLoadIsBalanced) {
  auto run = sample_run("a");
  run.layers[0][0].load = run.layers[0][1].load = 0;
  const auto balance = load_balance(run);
  EXPECT_DOUBLE_EQ(balance.std, 0.0);
  EXPECT_DOUBLE_EQ(balance.max_over_mean, 1.0);
}

TEST(RunStatistics, EmptyRunHasNoFigures) {
  const RunStatistics run;
  EXPECT_EQ(mean_all_to_all_s(run), 0);
  EXPECT_EQ(max_all_to_all_s(run), 0);
  EXPECT_EQ(load_balance(run).max_over_mean, 0);
  EXPECT_EQ(tokens_per_second(run), 0);
  EXPECT_EQ(max_over_mean({}), 1);
}

TEST(RunStatisticsJson, RoundTripsThroughAFile) {
  const TempDir folder;
  auto run = sample_run("grace \"quoted\" <&>");
  run.settings = {{"zeta", "first"}, {"alpha", "second"}};  // not in alphabetic order
  run.end_to_end_s = 0.1 + 0.2;                             // 17 digits
  write_run_statistics(folder / "run.json", run);
  EXPECT_EQ(read_run_statistics(folder / "run.json"), run);
  EXPECT_EQ(run.setting("alpha"), "second");
  EXPECT_EQ(run.setting("nothing"), "");
}

TEST(RunStatisticsJson, TextThatIsNotUtf8IsReplaced) {
  auto run = sample_run("bad \xff name");
  const auto back = parse_run_statistics(run_statistics_json(run), "run.json");
  EXPECT_EQ(back.name, "bad \xef\xbf\xbd name");
}

TEST(RunStatisticsJson, WriterRefusesABrokenRun) {
  auto run = sample_run("a");
  run.layers[1].pop_back();
  EXPECT_THROW(run_statistics_json(run), Error);
  run = sample_run("a");
  run.devices[0].idle_s = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(run_statistics_json(run), Error);
  run = sample_run("a");
  run.settings.push_back(run.settings.front());
  EXPECT_THROW(run_statistics_json(run), Error);
}

// The message for a good file with one change made to it.
template <typename Change>
std::string refusal(Change change) {
  Json json = Json::parse(run_statistics_json(sample_run("a")));
  change(json);
  try {
    parse_run_statistics(json.dump(), "run.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(RunStatisticsJson, RefusesFilesOfAnotherKind) {
  EXPECT_THAT(refusal([](Json& j) { j["format"] = "gracemoe-plan"; }),
              AllOf(HasSubstr("run.json: format"), HasSubstr("'gracemoe-plan'"),
                    HasSubstr("'gracemoe-run'")));
  EXPECT_THAT(refusal([](Json& j) { j.erase("format"); }), HasSubstr("run.json: format"));
  EXPECT_THAT(refusal([](Json& j) { j["version"] = 2; }), HasSubstr("run.json: version"));
  EXPECT_THAT(refusal([](Json& j) { j = Json::array(); }), HasSubstr("run.json"));
}

TEST(RunStatisticsJson, NamesTheMissingKey) {
  for (const char* key : {"name", "settings", "machine", "workload", "end_to_end_s", "prefill_s",
                          "decode_s", "devices", "layers"}) {
    EXPECT_THAT(refusal([&](Json& j) { j.erase(key); }), HasSubstr(key));
  }
  EXPECT_THAT(refusal([](Json& j) { j["devices"][1].erase("idle_s"); }),
              AllOf(HasSubstr("devices[1]"), HasSubstr("idle_s")));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][1].erase("load"); }),
              AllOf(HasSubstr("layers[1]"), HasSubstr("load")));
}

// Files written before the bytes received were counted.
TEST(RunStatisticsJson, BytesReceivedMayBeMissing) {
  RunStatistics run = sample_run("a");
  run.layers[0][0].received_payload = 7;
  OrderedJson json = OrderedJson::parse(run_statistics_json(run));
  for (OrderedJson& layer : json["layers"]) layer.erase("received_from_other_nodes_bytes");
  const RunStatistics back = parse_run_statistics(json.dump(), "run.json");
  for (auto& layer : run.layers)
    for (auto& device : layer) device.received_payload = 0;
  EXPECT_EQ(back, run);
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["received_from_other_nodes_bytes"] = 7; }),
              HasSubstr("received_from_other_nodes_bytes"));
}

TEST(RunStatisticsJson, RefusesBadNumbers) {
  EXPECT_THAT(refusal([](Json& j) { j["end_to_end_s"] = -1; }), HasSubstr("end_to_end_s"));
  EXPECT_THAT(refusal([](Json& j) { j["decode_s"] = nullptr; }), HasSubstr("decode_s"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["messages"][1] = -3; }),
              AllOf(HasSubstr("layers[0]: messages[1]"), HasSubstr("-3")));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["load"][0] = 1.5; }), HasSubstr("load[0]"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["load"][0] = 1e300; }), HasSubstr("load[0]"));
  EXPECT_THAT(refusal([](Json& j) { j["layers"][0]["load"].push_back(1); }),
              AllOf(HasSubstr("load"), HasSubstr("3 values"), HasSubstr("2, one a device")));
  EXPECT_THAT(refusal([](Json& j) { j["settings"]["model"] = 7; }), HasSubstr("model"));
}

TEST(RunStatisticsJson, RefusesDevicesOutOfOrderOrNone) {
  EXPECT_THAT(refusal([](Json& j) { j["devices"].erase(0); }), HasSubstr("devices[0]"));
  EXPECT_THAT(refusal([](Json& j) { j["devices"] = Json::array(); }),
              HasSubstr("at least one device"));
}

TEST(RunStatisticsJson, RefusesCountsWhoseTotalWouldOverflow) {
  EXPECT_THAT(refusal([](Json& j) {
                const Json layer = j["layers"][0];
                for (int i = 0; i < 600; ++i) {
                  j["layers"].push_back(layer);
                  j["layers"].back()["messages"][0] = std::int64_t{1} << 53;
                }
              }),
              HasSubstr("2^62"));
}

TEST(Machine, TellsWhatItRunsOn) {
  const auto machine = this_machine();
  EXPECT_GE(machine.cores, 1);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_THAT(machine.system, HasSubstr("Linux"));
}

}  // namespace
}  // namespace gracemoe
