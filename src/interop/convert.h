// gracemoe convert: a placement, loads or tokens from one system's file into another's.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "interop/formats.h"
#include "interop/layer_numbers.h"
#include "topology/topology.h"

namespace gracemoe {

struct ConvertOptions {
  std::vector<std::filesystem::path> inputs;  // several: recorder dumps, requests, loads to add
  std::filesystem::path out;
  std::optional<Format> from;  // nothing: by content
  std::optional<Format> to;    // nothing: gracemoe's own of what the input holds

  // What a file may not say; 0 or empty: not said.
  std::optional<Topology> topology;
  int num_experts = 0, top_k = 0;
  int layers = 0;  // MoE layers of a map for all layers; layers in routed experts
  LayerChoice choice;
  std::string model, fingerprint;

  int slots = 0;                   // in a layer in all; 0: as few as hold the plan
  std::filesystem::path evidence;  // trace or statistics to pad by
  std::int64_t expert_bytes = 0;   // for the cost of padding
  int layer = -1;                  // the layer for all layers (vllm-expert-ranks); -1: none
};

// Reads, converts, writes. -> lines for people: what was read, what was written, what padding
// cost, what the target cannot carry. Errors: kInput, kUsage, kOutput; nothing is written then.
std::vector<std::string> convert(const ConvertOptions& options);

}  // namespace gracemoe
