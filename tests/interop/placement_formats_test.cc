// SlotPlacement files of other systems: what they say is read, what is written reads back, what is
// wrong is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "interop/interop_data.h"
#include "interop/sglang.h"
#include "interop/tensorrt_llm.h"
#include "interop/vllm.h"
#include "interop/vllm_ascend.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const PlacementHints kAfterDense{.num_experts = 0, .layers = 2, .choice = {.moe_layers = {1, 2}}};
const PlacementHints kTwoLayers{.num_experts = 0, .layers = 2, .choice = {}};

void expect_data(const SlotPlacement& placement) {
  ASSERT_EQ(placement.layers.size(), 2U);
  EXPECT_EQ(placement.num_experts, 8);
  EXPECT_EQ(placement.slots(0), data_rows()[0]);
  EXPECT_EQ(placement.slots(1), data_rows()[1]);
}

TEST(SglangPlacement, AllHiddenLayersThere) {
  const SlotPlacement placement =
      read_sglang_placement(interop_text("sglang_placement.json"), "f", kAfterDense);
  expect_data(placement);
  EXPECT_EQ(placement.numbers, (LayerNumbers{{1, 2}, 3}));
  const std::string text = sglang_placement_text(placement, placement.numbers);
  expect_data(read_sglang_placement(text, "f", kAfterDense));
  // The dense layer's row means nothing and must be valid.
  EXPECT_THAT(text, HasSubstr("[0, 1, 2, 3, 4, 5, 6, 7, 0, 1]"));
  EXPECT_EQ(read_sglang_placement(text, "f", {}).layers.size(), 3U);
}

TEST(SglangPlacement, Refuses) {
  const auto error = [](const std::string& text) {
    return error_of([&] { read_sglang_placement(text, "f.json", {}); });
  };
  EXPECT_THAT(error("{}"), HasSubstr("f.json: physical_to_logical_map: got nothing"));
  EXPECT_THAT(error("[]"), HasSubstr("a JSON object"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": 3})"), HasSubstr("one list a layer"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": [3]})"), HasSubstr("a list of whole numbers"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": [[0, -1]]})"),
              HasSubstr("physical_to_logical_map[0][1]: got -1"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": [[0, 1.5]]})"), HasSubstr("got 1.5"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": [[0, 18446744073709551615]]})"),
              HasSubstr("from 0 to 65534"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": [[0, 2]]})"), HasSubstr("no slot for expert 1"));
  EXPECT_THAT(error(R"({"physical_to_logical_map": []})"), HasSubstr("no MoE layer"));
}

TEST(Trtllm, LayersByTheirNumber) {
  const SlotPlacement placement = read_trtllm_placement(interop_text("trtllm.yaml"), "f", {});
  expect_data(placement);
  EXPECT_EQ(placement.numbers, (LayerNumbers{{1, 2}, 0}));
  EXPECT_EQ(trtllm_placement_text(placement, placement.numbers), interop_text("trtllm.yaml"));
}

TEST(Trtllm, Refuses) {
  const auto error = [](const std::string& text) {
    return error_of([&] { read_trtllm_placement(text, "f.yaml", {}); });
  };
  const std::string head = "num_slots: 2\ninitial_global_assignments:\n";
  EXPECT_EQ(error(head + "  3: [0, 1]\n"), "");
  EXPECT_THAT(error("[1, 2]"), HasSubstr("f.yaml: got a list of 2, wanted a mapping"));
  EXPECT_THAT(error("a: [1"), HasSubstr("f.yaml: not valid YAML at line"));
  EXPECT_THAT(error(head + "  3: [0, 1]\nmore: 1\n"), HasSubstr("the key 'more'"));
  EXPECT_THAT(error(head + "  3: [0, 1]\nnum_slots: 2\n"), HasSubstr("the key 'num_slots' twice"));
  EXPECT_THAT(error(head + "  3: [0, 1]\n  3: [0, 1]\n"), HasSubstr("layer 3: got a second list"));
  EXPECT_THAT(error(head + "  3: [0]\n"), HasSubstr("got a list of 1, wanted a list of 2"));
  EXPECT_THAT(error(head + "  3: [0, x]\n"), HasSubstr("layer 3[1]: got 'x'"));
  EXPECT_THAT(error(head + "  4096: [0, 1]\n"), HasSubstr("from 0 to 4095"));
  EXPECT_THAT(error("num_slots: 2\n"), HasSubstr("initial_global_assignments: got nothing"));
  EXPECT_THAT(error("num_slots: 0\n"), HasSubstr("num_slots: got '0'"));
  EXPECT_THAT(error(""), HasSubstr("wanted a mapping"));
  EXPECT_THAT(error(std::string(100000, '[')), HasSubstr("f.yaml"));
  // Merging one list into many layers costs what the layers' slots cost, no more.
  EXPECT_EQ(error("num_slots: 2\ninitial_global_assignments:\n  3: &a [0, 1]\n  4: *a\n"), "");
}

TEST(VllmMapping, MoeLayersFromZero) {
  const SlotPlacement placement = read_vllm_mapping(interop_text("vllm_mapping.jsonl"), "f", {});
  expect_data(placement);
  EXPECT_EQ(Json::parse(vllm_mapping_text(placement)),
            Json::parse(interop_text("vllm_mapping.jsonl")));
}

TEST(VllmMapping, ElevenLayersAreInOrderOfTheirNumbers) {
  SlotPlacement placement;
  placement.num_experts = 2;
  for (int l = 0; l < 11; ++l)
    placement.layers.push_back({l == 10 ? std::vector{1, 0} : std::vector{0, 1}});
  const SlotPlacement back = read_vllm_mapping(vllm_mapping_text(placement), "f", {});
  EXPECT_EQ(back.layers, placement.layers);
}

TEST(VllmMapping, Refuses) {
  const auto error = [](const std::string& text) {
    return error_of([&] { read_vllm_mapping(text, "f.jsonl", {}); });
  };
  const auto record = [](const std::string& rest) {
    return R"({"record_type": "eplb_initial_mapping", "version": 1, )" + rest + "}\n";
  };
  const std::string good = record(R"("num_slots": 2, "initial_global_assignments": {"0": [0, 1]})");
  EXPECT_EQ(error(good), "");
  EXPECT_THAT(error(""), HasSubstr("f.jsonl: got no line"));
  EXPECT_THAT(error(good + good), HasSubstr("line 2"));
  EXPECT_THAT(error(R"({"record_type": "other"})"), HasSubstr("got 'other'"));
  EXPECT_THAT(error("{\n"), HasSubstr("f.jsonl: line 1: not valid JSON"));
  EXPECT_THAT(error(record(R"("num_slots": 3, "initial_global_assignments": {"0": [0, 1]})")),
              HasSubstr("got 2 slots, wanted 3, the file's num_slots"));
  EXPECT_THAT(error(record(R"("num_slots": 2, "initial_global_assignments": {"1": [0, 1]})")),
              HasSubstr("initial_global_assignments.0: got nothing"));
  EXPECT_THAT(error(R"({"record_type": "eplb_initial_mapping", "version": 2})"),
              HasSubstr("version: got 2"));
}

TEST(VllmExpertMap, OneMapALayerOrOneForAll) {
  const SlotPlacement placement =
      read_vllm_expert_map(interop_text("vllm_expert_map.json"), "f", {});
  expect_data(placement);
  expect_data(read_vllm_expert_map(vllm_expert_map_text(placement), "f", {}));
  const SlotPlacement all = read_vllm_expert_map("[0, 1, 1]", "f", kTwoLayers);
  EXPECT_EQ(all.layers.size(), 2U);
  EXPECT_THAT(all.slots(1), ElementsAre(0, 1, 1));
  EXPECT_THAT(error_of([] { read_vllm_expert_map("[0, 1]", "f", {}); }, ErrorCategory::kUsage),
              HasSubstr("wanted --layers N"));
  EXPECT_THAT(error_of([] { read_vllm_expert_map("{}", "f", kTwoLayers); }),
              HasSubstr("a list of whole numbers"));
  EXPECT_THAT(error_of([] { read_vllm_expert_map("[[0], 1]", "f", {}); }), HasSubstr("f[1]"));
}

TEST(VllmExpertRanks, OneMapForAllLayersWithoutCopies) {
  const std::string text = interop_text("vllm_expert_ranks.json");
  const SlotPlacement placement = read_vllm_expert_ranks(text, "f", kTwoLayers);
  EXPECT_EQ(placement.devices, 4);
  EXPECT_THAT(placement.layers[0][1], ElementsAre(1, 3));
  EXPECT_EQ(Json::parse(vllm_expert_ranks_text(placement, "f")), Json::parse(text));
}

TEST(VllmExpertRanks, Refuses) {
  const auto read_error = [](const std::string& text) {
    return error_of([&] { read_vllm_expert_ranks(text, "f", kTwoLayers); });
  };
  EXPECT_THAT(read_error(R"({"expert_to_ep_rank": []})"), HasSubstr("no expert"));
  EXPECT_THAT(read_error(R"({"expert_to_ep_rank": [65535]})"), HasSubstr("from 0 to 65534"));
  SlotPlacement placement =
      read_vllm_expert_ranks(R"({"expert_to_ep_rank": [0, 0, 1]})", "f", kTwoLayers);
  EXPECT_THAT(error_of([&] { vllm_expert_ranks_text(placement, "p"); }),
              HasSubstr("got 1 to 2 experts a device"));
  placement.layers[1] = {{0, 2}, {1}};
  EXPECT_THAT(error_of([&] { vllm_expert_ranks_text(placement, "p"); }),
              HasSubstr("MoE layer 1: got another placement than in layer 0"));
}

TEST(VllmAscend, DevicesAreKnown) {
  const SlotPlacement placement = read_vllm_ascend(interop_text("vllm_ascend.json"), "f", {});
  expect_data(placement);
  EXPECT_EQ(placement.devices, 5);
  EXPECT_EQ(Json::parse(vllm_ascend_text(placement)),
            Json::parse(interop_text("vllm_ascend.json")));
}

TEST(VllmAscend, Refuses) {
  const auto error = [](const std::string& path, const Json& value) {
    Json json = Json::parse(interop_text("vllm_ascend.json"));
    json[Json::json_pointer(path)] = value;
    return error_of([&] { read_vllm_ascend(json.dump(), "f", {}); });
  };
  EXPECT_THAT(error("/moe_layer_count", 3), HasSubstr("got 2 layers, wanted 3"));
  EXPECT_THAT(error("/layer_list/1/layer_id", 0), HasSubstr("got 0 a second time"));
  EXPECT_THAT(error("/layer_list/1/layer_id", 2), HasSubstr("layer_id: got 2"));
  EXPECT_THAT(error("/layer_list/0/device_count", 4), HasSubstr("got 5 devices, wanted 4"));
  EXPECT_THAT(error("/layer_list/0/device_list/2/device_id", 1), HasSubstr("a second time"));
  EXPECT_THAT(error("/layer_list/0/device_list/2/device_expert", Json::array()),
              HasSubstr("got no expert"));
  EXPECT_THAT(error("/layer_list/0/device_list/2/device_expert", {4, 5, 6}),
              HasSubstr("lists of several lengths"));
  EXPECT_THAT(error("/layer_list/0/device_list/2/device_expert", {0, 1}),
              HasSubstr("no slot for expert 4"));
  EXPECT_THAT(error("/layer_list/0", 5), HasSubstr("a JSON object"));
}

}  // namespace
}  // namespace gracemoe
