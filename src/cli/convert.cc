// gracemoe convert: placements and statistics from and to other systems' files.
#include <fmt/core.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "interop/convert.h"
#include "model/checkpoint.h"
#include "model/fingerprint.h"
#include "model/model_config.h"

namespace gracemoe {
namespace {

struct ConvertArguments {
  std::vector<std::string> inputs;
  std::string out, from, to, topology, moe_layers, model, model_name, evidence;
  int nodes = 0, devices = 0;
  int num_experts = 0, top_k = 0, layers = 0, first_dense = 0, hidden_layers = 0, slots = 0;
  int layer = -1;
  std::int64_t expert_bytes = 0;
};

std::optional<Topology> cluster_of(const ConvertArguments& a) {
  if (!a.topology.empty() && (a.nodes > 0 || a.devices > 0))
    fail_usage({"cluster", "--topology and --nodes/--devices", "one of the two", ""});
  if (!a.topology.empty()) return Topology::parse(a.topology);
  if (a.nodes == 0 && a.devices == 0) return std::nullopt;
  if (a.nodes == 0 || a.devices == 0)
    fail_usage({"cluster", "half a size", "--nodes N --devices G (devices a node)", ""});
  return Topology::grid(a.nodes, a.devices);
}

LayerChoice choice_of(const ConvertArguments& a) {
  if (!a.moe_layers.empty() && a.first_dense > 0)
    fail_usage({"layers", "--moe-layers and --first-dense", "one of the two", ""});
  LayerChoice choice;
  if (!a.moe_layers.empty()) choice.moe_layers = parse_layer_list(a.moe_layers);
  choice.first_dense = a.first_dense;
  choice.hidden = a.hidden_layers;
  return choice;
}

// What the folder of the model says, where the options are silent.
void ask_model(const std::string& folder, ConvertOptions& options) {
  const ModelConfig c = read_model_config(folder);
  Checkpoint checkpoint(folder);
  options.fingerprint = fingerprint(checkpoint, c);
  if (options.model.empty()) options.model = std::filesystem::path(folder).filename().string();
  if (options.num_experts == 0) options.num_experts = c.experts;
  if (options.top_k == 0) options.top_k = c.top_k;
  if (options.layers == 0) options.layers = static_cast<int>(c.moe_layers.size());
  if (!options.choice.said()) options.choice.moe_layers = c.moe_layers;
  if (options.choice.hidden == 0) options.choice.hidden = c.layers;
  if (options.expert_bytes == 0)
    options.expert_bytes = std::int64_t{3} * c.expert_width * c.hidden * 2;
}

void run_convert(const ConvertArguments& a) {
  ConvertOptions options;
  options.inputs.assign(a.inputs.begin(), a.inputs.end());
  options.out = a.out;
  if (!a.from.empty()) options.from = parse_format(a.from);
  if (!a.to.empty()) options.to = parse_format(a.to);
  options.topology = cluster_of(a);
  options.num_experts = a.num_experts;
  options.top_k = a.top_k;
  options.layers = a.layers;
  options.choice = choice_of(a);
  options.model = a.model_name;
  options.slots = a.slots;
  options.evidence = a.evidence;
  options.expert_bytes = a.expert_bytes;
  options.layer = a.layer;
  if (!a.model.empty()) ask_model(a.model, options);
  for (const std::string& line : convert(options)) fmt::print("{}\n", line);
}

void add_facts(CLI::App& command, ConvertArguments& a) {
  command.add_option("--nodes", a.nodes, "nodes of the cluster")->check(number_above(0));
  command.add_option("--devices", a.devices, "devices a node")->check(number_above(0));
  command.add_option("--topology", a.topology, "instead: nodes x devices such as 2x4, or 3,1");
  command
      .add_option("--num-experts", a.num_experts, "experts a layer (default: as the file shows)")
      ->check(CLI::Range(1, 65535));
  command.add_option("--top-k", a.top_k, "experts that a token chooses")
      ->check(CLI::Range(1, 1024));
  command
      .add_option("--layers", a.layers,
                  "MoE layers, for files with one map for all; layers in routed experts")
      ->check(CLI::Range(1, kMaxHiddenLayers));
  command.add_option("--moe-layers", a.moe_layers,
                     "the MoE layers among all hidden layers, such as 3-60 (SGLang, TensorRT-LLM)");
  command.add_option("--first-dense", a.first_dense, "instead: dense layers at the start")
      ->check(CLI::Range(0, kMaxHiddenLayers));
  command
      .add_option("--hidden-layers", a.hidden_layers,
                  "all layers of the model (default: up to the last MoE layer)")
      ->check(CLI::Range(1, kMaxHiddenLayers));
  command.add_option("--model", a.model,
                     "model folder that says all of these, and binds a plan to its checkpoint");
  command.add_option("--model-name", a.model_name, "the model's name, for people");
}

void add_padding(CLI::App& command, ConvertArguments& a) {
  command
      .add_option("--slots", a.slots,
                  "slots a layer in all (default: devices x the most that any device holds)")
      ->check(number_above(0));
  command.add_option("--trace", a.evidence,
                     "routing trace or statistics: which copies fill free slots best");
  command
      .add_option("--expert-bytes", a.expert_bytes, "bytes of an expert, for the cost of padding")
      ->check(number_above(0));
  command.add_option("--layer", a.layer, "this layer's placement for all (vllm-expert-ranks)")
      ->check(CLI::Range(0, kMaxHiddenLayers));
}

}  // namespace

void add_convert(CLI::App& app, Action& action) {
  auto a = std::make_shared<ConvertArguments>();
  CLI::App* command = app.add_subcommand(
      "convert", "Convert placements and statistics from and to other systems' files");
  command
      ->add_option("--in", a->inputs,
                   "file or folder (repeat: dumps of several ranks, requests, loads to add)")
      ->required();
  command->add_option("--out", a->out, "file to write (trtllm-stats: folder)")->required();
  command->add_option("--to,--to-format", a->to,
                      "format to write (default: gracemoe's own plan, trace or stats)");
  command->add_option("--from,--from-format", a->from, "format of the input (default: by content)");
  add_facts(*command, *a);
  add_padding(*command, *a);
  command->footer("Formats:\n" + format_list());
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { run_convert(*a); }); };
  });
}

}  // namespace gracemoe
