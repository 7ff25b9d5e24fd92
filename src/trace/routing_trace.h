// A routing trace: for every token of some real text and every MoE layer, the experts the router
// chose. File: safetensors with `experts` U8/U16/I32 [tokens, moe_layers, top_k], `sequence` I32
// [tokens], optional `weights` F16/F32 of experts' shape; metadata format=moe-trace, version=1,
// model, num_experts, top_k, num_layers, phase, and of ours: fingerprint (of the checkpoint).
// Tokens of a sequence stand together, in order of position.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace gracemoe {

struct RoutingTrace {
  std::string model;        // name of the model folder, for people
  std::string fingerprint;  // of the checkpoint; empty: unknown
  std::string phase;        // "prefill", "decode", "mixed", ...
  int num_experts = 0;
  int top_k = 0;
  int layers = 0;                      // MoE layers only
  std::vector<std::int32_t> sequence;  // [tokens] number of the sequence a token belongs to
  std::vector<std::uint16_t>
      experts;  // [tokens, layers, top_k], distinct within one (token, layer), in top-k order
  std::vector<float> weights;  // empty, or of experts' shape

  std::int64_t tokens() const { return static_cast<std::int64_t>(sequence.size()); }
  // The top_k experts of a token in a layer.
  std::span<const std::uint16_t> chosen(std::int64_t token, int layer) const {
    const auto k = static_cast<std::size_t>(top_k);
    return {experts.data() + (static_cast<std::size_t>(token) * static_cast<std::size_t>(layers) +
                              static_cast<std::size_t>(layer)) *
                                 k,
            k};
  }
};

// Errors (kInput): not a moe-trace, wrong shapes, an expert id out of range (says token, layer,
// id), an expert twice for a token.
RoutingTrace read_trace(const std::filesystem::path& path);
// Stores experts as U8 where num_experts <= 256, else U16; weights as F32.
void write_trace(const std::filesystem::path& path, const RoutingTrace& trace);

// The part of a trace made of the sequences for which keep(sequence number) is true.
// split_by_sequence: every `every`-th sequence (by order of appearance: every-1, 2*every-1, ...)
// goes to `held_out`, the rest to `fit`; with fewer than `every` sequences, the last 1/every of the
// tokens is held out.
struct TraceSplit {
  RoutingTrace fit, held_out;
};
TraceSplit split_by_sequence(const RoutingTrace& trace, int every);

}  // namespace gracemoe
