// Two plain forms of tokens and the experts they chose.
//   memra           text, lines "<layer> <tokens> <id,id,...>": the ids of the tokens one after
//                   another; layers by any numbers
//   routed experts  what vLLM and SGLang return for one request: int16 [tokens - 1, layers, top_k],
//                   little-endian, experts' ids; raw, or in base64. No header: layers and top_k
//                   must be said
#pragma once
#include <string>
#include <vector>

#include "interop/loads.h"

namespace gracemoe {

// num_experts 0: the largest id + 1. Errors (kInput) name `name` and the line.
// As tokens: all layers have the same number of tokens. A line is a sequence where all layers have
// the same lines, else all tokens are one.
Tokens read_memra_tokens(const std::string& text, const std::string& name, int num_experts);
// As loads and affinity: layers may have different numbers of tokens.
Loads read_memra_loads(const std::string& text, const std::string& name, int num_experts);
// A line a sequence and layer.
std::string memra_text(const RoutingTrace& trace, const LayerNumbers& numbers);

struct RoutedExpertsShape {
  int layers = 0, top_k = 0;  // in the file, dense layers too where it has them
  int num_experts = 0;        // 0: the largest id + 1
};
// `requests` are whole files, each one sequence; `names` theirs. Errors (kUsage): no shape; kInput:
// a size that is no multiple of layers x top_k x 2 bytes, an id out of range, or twice in a token.
Tokens read_routed_experts(const std::vector<std::string>& requests,
                           const std::vector<std::string>& names, const RoutedExpertsShape& shape,
                           const LayerChoice& choice);

}  // namespace gracemoe
