// What moe-trace and moe-stats files have in common: the kind of file, its version, and the model's
// shape in the metadata.
#pragma once
#include <cstdint>
#include <string>

#include "base/safetensors.h"

namespace gracemoe {

constexpr int kMaxExperts = 65535;
constexpr int kMaxTopK = 1024;
constexpr int kMaxLayers = 65535;

struct TraceShape {
  int num_experts = 0;
  int top_k = 0;
  int layers = 0;
};

// The metadata value; empty where the key is missing.
std::string meta_or_empty(const SafetensorsFile& file, const std::string& key);
// Checks format and version 1, reads num_experts, top_k, num_layers. Errors (kInput).
TraceShape read_trace_shape(const SafetensorsFile& file, const std::string& format);

}  // namespace gracemoe
