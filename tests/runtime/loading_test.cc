// How a model gets into memory: types of weights, one copy a machine, and whether it fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "metrics/memory.h"
#include "model/fingerprint.h"
#include "plan/contiguous.h"
#include "runtime/collect.h"
#include "runtime/footprint.h"
#include "runtime/text_windows.h"
#include "support/demo.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// The tiny model with its weights in another type; `change` may move a value.
void convert_model(const std::filesystem::path& to, DType dtype,
                   const std::function<void(const std::string&, std::vector<float>&)>& change) {
  const std::filesystem::path from = test_data("deepseek_v2_tiny");
  std::filesystem::copy(from, to);
  std::filesystem::remove(to / "model.safetensors");
  const SafetensorsFile file(from / "model.safetensors");
  std::map<std::string, std::vector<float>> wide;
  std::map<std::string, TensorView> tensors;
  for (const auto& [name, view] : file.tensors()) {
    std::vector<float>& values = wide[name];
    for (const bf16 value : view.as<bf16>()) values.push_back(to_float(value));
    change(name, values);
    tensors[name] = {dtype, view.shape, std::as_bytes(std::span(values))};
  }
  write_safetensors(to / "model.safetensors", tensors, {});
}

std::vector<std::uint64_t> logits_of(const DeploymentOptions& options) {
  const auto transport = make_local_transport();
  Deployment deployment(options, Topology::grid(1, 1), *transport);
  RunOptions how;
  how.ignore_eos = true;
  how.logit_hashes = true;
  RunTimes times;
  const std::vector<Request> requests{{0, {5, 17, 200, 33, 41}, 6}};
  return run_requests(deployment.model(), *transport, requests, how, times)[0].logit_hashes;
}

DeploymentOptions options_of(const std::filesystem::path& model) {
  DeploymentOptions options;
  options.model = model;
  return options;
}

// What becomes of the tiny model with a tensor of this name more, and one less.
std::string error_with(const std::string& more, const std::string& less = "") {
  const TempDir folder;
  const std::filesystem::path model = folder / "model", from = test_data("deepseek_v2_tiny");
  std::filesystem::copy(from, model);
  std::filesystem::remove(model / "model.safetensors");
  const SafetensorsFile file(from / "model.safetensors");
  std::map<std::string, TensorView> tensors(file.tensors().begin(), file.tensors().end());
  const std::vector<std::uint16_t> zeros(8);
  tensors[more] = {DType::kBF16, {8}, std::as_bytes(std::span(zeros))};
  tensors.erase(less);
  write_safetensors(model / "model.safetensors", tensors, {});
  return error_of([&] { logits_of(options_of(model)); });
}

// What becomes of the tiny model with a NaN in this tensor.
std::string error_with_nan(const std::string& where) {
  const TempDir folder;
  convert_model(folder / "model", DType::kF32, [&](const std::string& name, auto& values) {
    if (name == where) std::fill(values.begin(), values.end(), std::nanf(""));
  });
  return error_of([&] { logits_of(options_of(folder / "model")); });
}

TEST(Loading, ARunNamesTheTensorWhoseNumbersAreNotFinite) {
  const std::pair<const char*, const char*> cases[] = {
      {"model.embed_tokens.weight", "router logits of layer 1"},
      {"model.layers.0.mlp.up_proj.weight", "router logits of layer 1"},
      {"model.layers.1.self_attn.kv_a_layernorm.weight", "router logits of layer 1"},
      {"model.layers.1.mlp.shared_experts.down_proj.weight", "router logits of layer 2"},
      {"model.layers.2.mlp.gate.weight", "router logits of layer 2"},
      {"model.norm.weight", "logits"},
      {"lm_head.weight", "logits"}};
  for (const auto& [tensor, found_in] : cases)
    EXPECT_THAT(error_with_nan(tensor),
                AllOf(StartsWith(std::string(found_in) + ": got a value that is not finite"),
                      HasSubstr("tensor '" + std::string(tensor) + "' holds "),
                      HasSubstr(" not finite: the checkpoint is damaged")));
}

TEST(Loading, RefusesPartsOfItsLayersThatTheModelDoesNotTake) {
  for (const char* more : {"self_attn.kv_a_proj_with_mqa.bias", "mlp.gate.e_score_correction_bias",
                           "mlp.experts.8.up_proj.weight", "mlp.experts.1.up_proj.weight_scale_inv",
                           "mlp.gate_proj.weight", "post_feedforward_layernorm.weight"}) {
    const std::string name = "model.layers.1." + std::string(more);
    EXPECT_THAT(error_with(name),
                AllOf(HasSubstr("tensor '" + name + "': got a part of the model that Deepseek"),
                      HasSubstr("this model needs a feature that gracemoe does not have")));
  }
}

TEST(Loading, RefusesThemBeforeItReadsAnything) {
  EXPECT_THAT(error_with("model.layers.2.mlp.gate.bias", "model.embed_tokens.weight"),
              HasSubstr("'model.layers.2.mlp.gate.bias': got a part of the model that"));
}

TEST(Loading, TakesNoOffenceAtWhatChangesNoAnswer) {
  for (const char* more : {"model.layers.0.self_attn.rotary_emb.inv_freq",
                           "model.layers.3.eh_proj.weight", "model.layers.10.self_attn.x"})
    EXPECT_EQ(error_with(more), "") << more;
}

TEST(Loading, Float32WeightsThatBf16HoldsGiveTheSameAnswers) {
  const TempDir folder;
  convert_model(folder / "wide", DType::kF32, [](const std::string&, std::vector<float>&) {});
  EXPECT_EQ(logits_of(options_of(folder / "wide")),
            logits_of(options_of(test_data("deepseek_v2_tiny"))));
  Checkpoint wide(folder / "wide"), narrow(test_data("deepseek_v2_tiny"));
  EXPECT_EQ(fingerprint(wide, read_model_config(folder / "wide")),
            fingerprint(narrow, read_model_config(test_data("deepseek_v2_tiny"))));
}

TEST(Loading, OtherFloat32WeightsAreRefusedOrRoundedAsAsked) {
  const TempDir folder;
  convert_model(folder / "fine", DType::kF32, [](const std::string& name, std::vector<float>& v) {
    if (name == "model.layers.1.mlp.experts.3.up_proj.weight") v[7] *= 1 + 0x1p-12F;
  });
  DeploymentOptions options = options_of(folder / "fine");
  EXPECT_THAT(
      error_of([&] { logits_of(options); }),
      AllOf(HasSubstr("tensor 'model.layers.1.mlp.experts.3.up_proj.weight': got F32 with 1 "
                      "of 2,048 values"),
            HasSubstr("--round-weights")));
  options.rounding = WeightRounding::kNearest;
  EXPECT_EQ(logits_of(options), logits_of(options_of(test_data("deepseek_v2_tiny"))));
}

TEST(Loading, AMachineWithoutTheMemoryIsRefusedWithTheNumbers) {
  DeploymentOptions options = options_of(demo_model());
  options.memory_bytes = 5e6;
  EXPECT_THAT(error_of([&] { logits_of(options); }),
              AllOf(HasSubstr("memory of a machine with 1 rank: got 5.0 MB, wanted "),
                    HasSubstr("experts 25.2 MB"), HasSubstr("--memory-gb")));
  // Two ranks of one machine count together; what both hold alike counts once.
  std::string message;
  run_ranks(2, [&](Transport& transport) {
    const std::string mine =
        error_of([&] { Deployment(options, Topology::grid(1, 2), transport); });
    if (transport.rank() == 0) message = mine;
  });
  EXPECT_THAT(message, AllOf(HasSubstr("memory of a machine with 2 ranks: got 5.0 MB"),
                             HasSubstr("experts 25.2 MB")));
}

// Caches and int8 count, and the refusal says so.
TEST(Loading, WhatARunWouldHoldIsPartOfWhatMustFit) {
  DeploymentOptions options = options_of(test_data("deepseek_v2_tiny"));
  const std::int64_t position = (32 + 8) * 3 * 2;  // of latent attention
  options.memory_bytes = 2e9;
  EXPECT_EQ(error_of([&] { logits_of(options); }), "");
  options.cache_positions = 10'000'000;
  EXPECT_THAT(error_of([&] { logits_of(options); }),
              AllOf(HasSubstr("got 2.0 GB"), HasSubstr("caches 2.4 GB")));
  EXPECT_EQ(options.cache_positions * position, 2'400'000'000);
  options.memory_bytes = 2.43e9;  // 10 MB of buffers and 1 MB of weights beside them
  EXPECT_EQ(error_of([&] { logits_of(options); }), "");
}

TEST(Loading, CachesAreThoseOfTheSequencesHeldAtOnce) {
  std::vector<Request> requests;
  for (const int size : {5, 9, 2, 7})
    requests.push_back({requests.size(), std::vector<int>(static_cast<std::size_t>(size), 1), 10});
  RunOptions how;
  EXPECT_EQ(cache_positions(requests, how), 23 + 40);
  how.max_sequences = 2;
  EXPECT_EQ(cache_positions(requests, how), 19 + 17);
  for (Request& request : requests) request.max_new_tokens = 0;
  how.max_rows = 10;
  EXPECT_EQ(cache_positions(requests, how), 9 + 7);
  EXPECT_EQ(cache_positions({}, how), 0);
}

TEST(Loading, LogitsAreThoseOfOneStep) {
  std::vector<Request> requests(5, Request{0, {1, 2, 3}, 4});
  requests[2].max_new_tokens = 0;
  RunOptions how;
  EXPECT_EQ(logit_rows(requests, how), 4) << "a prompt that is only read asks for none";
  how.max_sequences = 3;
  EXPECT_EQ(logit_rows(requests, how), 3);
  how.max_rows = 2;
  EXPECT_EQ(logit_rows(requests, how), 2);
  how.max_rows = 100;
  how.score = [](const Request&, int, std::span<const float>) {};
  EXPECT_EQ(logit_rows(requests, how), 100);
}

TEST(Loading, LogitsArePartOfWhatMustFit) {
  DeploymentOptions options = options_of(demo_model());
  options.memory_bytes = 70e6;  // 32 MB of weights, 20 MB of buffers
  options.logit_rows = 512;     // 8.4 MB
  EXPECT_EQ(error_of([&] { logits_of(options); }), "");
  options.logit_rows = 4 * 512;
  EXPECT_THAT(error_of([&] { logits_of(options); }), HasSubstr("got 70.0 MB, wanted "));
}

// Loads a model on one device; the bytes that progress told last.
std::int64_t loaded_bytes(Checkpoint& checkpoint, const ModelConfig& config, const Plan& plan) {
  const auto transport = make_local_transport();
  const auto exchange = make_exchange({ExchangeKind::kFlatPerDevice, Reduction::kFp32,
                                       Element::kBf16, config.hidden, 2, config.experts},
                                      plan.topology, *transport);
  const auto selector = make_selector(RoutingPolicy::kPrimary, plan);
  const auto backend = make_cpu_backend({});
  std::int64_t told = 0;
  make_transformer(config, checkpoint, *backend,
                   {plan,
                    {0, selector.get(), exchange.get(), nullptr, nullptr, true},
                    WeightRounding::kRefuse,
                    [&](std::int64_t bytes) {
                      EXPECT_GE(bytes, told);
                      told = bytes;
                    }});
  return told;
}

// In the unit of what a device holds, bf16, whatever the files have.
TEST(Loading, TellsTheBytesTakenIn) {
  const TempDir folder;
  convert_model(folder / "wide", DType::kF32, [](const std::string&, std::vector<float>&) {});
  for (const auto& model : {test_data("deepseek_v2_tiny"), folder / "wide"}) {
    const ModelConfig config = read_model_config(model);
    Checkpoint checkpoint(model);
    const Plan plan =
        contiguous_plan({"", "", config.experts, config.top_k, 2, Topology::grid(1, 1)});
    const Footprint need = footprint(config, checkpoint, plan, 0, {});
    EXPECT_EQ(loaded_bytes(checkpoint, config, plan), need.dense + need.experts) << model;
    EXPECT_EQ(checkpoint.bytes_used(), checkpoint.bytes_total());
  }
}

// The answers would have been others with it, and nothing would have told.
TEST(Loading, TensorsThatNobodyTakesAreRefused) {
  const TempDir folder;
  const auto with_tensor = [&](const std::string& name) {
    const std::filesystem::path to = folder / name;
    std::filesystem::copy(test_data("deepseek_v2_tiny"), to);
    std::filesystem::remove(to / "model.safetensors");
    const SafetensorsFile file(test_data("deepseek_v2_tiny") / "model.safetensors");
    std::map<std::string, TensorView> tensors = file.tensors();
    const std::vector<bf16> values(64);
    tensors[name] = {DType::kBF16, {64}, std::as_bytes(std::span(values))};
    write_safetensors(to / "model.safetensors", tensors, {});
    return error_of([&] { logits_of(options_of(to)); });
  };
  for (const char* name :
       {"model.layers.1.self_attn.q_proj.bias", "model.layers.2.mlp.gate.e_score_correction_bias",
        "model.layers.1.mlp.experts.3.up_proj.bias", "model.layers.1.mlp.experts.8.up_proj.weight",
        "model.layers.0.self_attn.q_norm.weight"})
    EXPECT_THAT(with_tensor(name),
                AllOf(HasSubstr("tensor '" + std::string(name) + "': got a part of the model"),
                      HasSubstr("feature")));
  for (const char* name :
       {"model.layers.3.eh_proj.weight", "model.layers.1.self_attn.rotary_emb.inv_freq"})
    EXPECT_EQ(with_tensor(name), "") << name;
}

TEST(Footprint, CountsWeightsCachesAndNothingTwice) {
  for (const char* model : {"olmoe_tiny", "qwen3_moe_tiny", "deepseek_v2_tiny_q"}) {
    const ModelConfig c = read_model_config(test_data(model));
    const Checkpoint checkpoint(test_data(model));
    const Plan plan = contiguous_plan(
        {"", "", c.experts, c.top_k, static_cast<int>(c.moe_layers.size()), Topology::grid(1, 1)});
    FootprintOptions options;
    options.cache_positions = 3 * 100;
    const Footprint need = footprint(c, checkpoint, plan, 0, options);
    EXPECT_EQ(need.dense + need.experts, checkpoint.bytes_total()) << model;
    EXPECT_EQ(need.cache, 3 * 100 * cache_bytes(c, 2)) << model;
    EXPECT_GT(need.buffers, 0);
  }
  // In int8 a weight takes a byte, and 64 of them 2 bytes more.
  const ModelConfig c = read_model_config(test_data("qwen3_moe_tiny"));
  EXPECT_EQ(expert_bytes(c, true), 2 * 32 * (64 + 2) + 64 * (32 + 2));
  // DeepSeek-V2: (kv_lora_rank + qk_rope) x layers x element size.
  EXPECT_EQ(cache_bytes(read_model_config(test_data("deepseek_v2_tiny")), 2), (32 + 8) * 3 * 2);
}

TEST(Footprint, CountsARowOfLogitsForEachRowThatWantsThem) {
  const ModelConfig c = read_model_config(test_data("olmoe_tiny"));
  const Checkpoint checkpoint(test_data("olmoe_tiny"));
  const Plan plan = contiguous_plan(
      {"", "", c.experts, c.top_k, static_cast<int>(c.moe_layers.size()), Topology::grid(1, 1)});
  const auto buffers = [&](int logit_rows) {
    FootprintOptions options;
    options.logit_rows = logit_rows;
    return footprint(c, checkpoint, plan, 0, options).buffers;
  };
  EXPECT_EQ(buffers(512) - buffers(0), 4 * 512 * c.vocab);
}

// Others' tokens too: a device that the plan gives half of the work holds more than one of eight.
TEST(Footprint, BuffersFollowTheLoadThatThePlanExpects) {
  const ModelConfig c = read_model_config(test_data("olmoe_tiny"));
  const Checkpoint checkpoint(test_data("olmoe_tiny"));
  Plan plan = contiguous_plan(
      {"", "", c.experts, c.top_k, static_cast<int>(c.moe_layers.size()), Topology::grid(2, 4)});
  plan.layers[1].predicted_load = {0.5, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.125};
  const auto buffers = [&](int device) {
    return footprint(c, checkpoint, plan, device, {}).buffers;
  };
  EXPECT_EQ(buffers(7), buffers(1)) << "less in one layer is less in that one alone";
  const std::int64_t expected_pairs = 512 * c.top_k;  // of a device on average
  EXPECT_EQ(buffers(0) - buffers(7), 2 * 3 * expected_pairs * 3 * 2 * c.hidden);
}

// Rows, sums and messages of tokens that a node's devices may hand over.
TEST(Footprint, BuffersHoldTokensThatAreHandedOver) {
  const ModelConfig c = read_model_config(test_data("olmoe_tiny"));
  const Checkpoint checkpoint(test_data("olmoe_tiny"));
  const auto buffers = [&](const char* topology, int device) {
    const Plan plan =
        contiguous_plan({"", "", c.experts, c.top_k, static_cast<int>(c.moe_layers.size()),
                         Topology::parse(topology)});
    return footprint(c, checkpoint, plan, device, {}).buffers;
  };
  EXPECT_EQ(buffers("2,1", 0) - buffers("1x3", 0), 512 * 2 * (2 + 4) * c.hidden);
  EXPECT_EQ(buffers("2,1", 2), buffers("3x1", 0));
}

TEST(Footprint, ThisMachineHasMemory) {
  EXPECT_GT(available_memory(), 0);
}

}  // namespace
}  // namespace gracemoe
