// Which hidden layers of the model are MoE layers. gracemoe, vLLM and vllm-ascend number the MoE
// layers from 0; SGLang lists all hidden layers, dense ones too; TensorRT-LLM names a layer by its
// number among all.
#pragma once
#include <string>
#include <vector>

namespace gracemoe {

// A hidden layer's number in any file, and any number of hidden layers, are below this: what a file
// says here, its reader's memory depends on.
constexpr int kMaxHiddenLayers = 4096;

struct LayerNumbers {
  std::vector<int> absolute;  // [MoE layers] rising; empty: unknown
  int hidden = 0;             // hidden layers of the model; 0: unknown
  friend bool operator==(const LayerNumbers&, const LayerNumbers&) = default;
};

// What the user says of it.
struct LayerChoice {
  std::vector<int> moe_layers;  // rising; empty: not said
  int first_dense = 0;          // so many dense layers at the start; without moe_layers only
  int hidden = 0;               // 0: not said
  bool said() const { return !moe_layers.empty() || first_dense > 0; }
};

// "3-60" or "1,3,5-7", rising -> the numbers. Error (kUsage) otherwise.
std::vector<int> parse_layer_list(const std::string& text);

// Rows of a file with `rows` hidden layers that are MoE layers: the user's choice, or else those
// for which `nonzero` holds (empty: all). Errors: kUsage if the choice is beyond the rows; kInput
// (naming `name`) if none is left.
LayerNumbers choose_rows(const LayerChoice& choice, int rows, const std::vector<bool>& nonzero,
                         const std::string& name);

// Absolute numbers to write for `layers` MoE layers: the user's, or else the source's, or else
// 0, 1, ...; `hidden` is at least the last + 1. Error (kUsage) if the user named another number of
// layers.
LayerNumbers numbers_to_write(const LayerChoice& choice, const LayerNumbers& source, int layers);

// "3-60", "1,3,5-7": as parse_layer_list reads it.
std::string layer_list_text(const std::vector<int>& layers);

}  // namespace gracemoe
