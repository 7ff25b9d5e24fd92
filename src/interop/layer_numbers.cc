#include "interop/layer_numbers.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>

#include "base/error.h"

namespace gracemoe {
namespace {

[[noreturn]] void bad_list(const std::string& text) {
  fail_usage(
      {"MoE layers", "'" + text + "'",
       "rising numbers below " + std::to_string(kMaxHiddenLayers) + ", such as 3-60 or 1,3,5-7",
       ""});
}

int parse_number(std::string_view part, const std::string& text) {
  int value = -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || end != part.data() + part.size() || value < 0 ||
      value >= kMaxHiddenLayers)
    bad_list(text);
  return value;
}

}  // namespace

std::vector<int> parse_layer_list(const std::string& text) {
  std::vector<int> layers;
  const std::string_view view = text;
  for (std::size_t begin = 0; begin <= view.size();) {
    const std::size_t comma = std::min(view.find(',', begin), view.size());
    const std::string_view part = view.substr(begin, comma - begin);
    const std::size_t dash = part.find('-');
    const int first = parse_number(part.substr(0, dash), text);
    const int last = dash == part.npos ? first : parse_number(part.substr(dash + 1), text);
    if (last < first || (!layers.empty() && first <= layers.back())) bad_list(text);
    for (int layer = first; layer <= last; ++layer) layers.push_back(layer);
    begin = comma + 1;
  }
  return layers;
}

LayerNumbers choose_rows(const LayerChoice& choice, int rows, const std::vector<bool>& nonzero,
                         const std::string& name) {
  if (rows > kMaxHiddenLayers)
    fail_input({name, std::to_string(rows) + " layers",
                "at most " + std::to_string(kMaxHiddenLayers), ""});
  LayerNumbers numbers{choice.moe_layers, rows};
  if (!choice.moe_layers.empty()) {
    if (choice.moe_layers.back() >= rows)
      fail_usage({name + ": MoE layers", "layer " + std::to_string(choice.moe_layers.back()),
                  "layers below " + std::to_string(rows) + ", as many as the file has", ""});
    return numbers;
  }
  for (int row = choice.first_dense; row < rows; ++row)
    if (choice.said() || nonzero.empty() || nonzero[static_cast<std::size_t>(row)])
      numbers.absolute.push_back(row);
  if (numbers.absolute.empty())
    fail_input({name, std::to_string(rows) + " layers and no MoE layer among them",
                "at least one layer with experts in use", ""});
  return numbers;
}

LayerNumbers numbers_to_write(const LayerChoice& choice, const LayerNumbers& source, int layers) {
  LayerNumbers numbers = source;
  if (!choice.moe_layers.empty()) {
    numbers.absolute = choice.moe_layers;
  } else if (choice.first_dense > 0 || numbers.absolute.empty()) {
    numbers.absolute.resize(static_cast<std::size_t>(layers));
    std::iota(numbers.absolute.begin(), numbers.absolute.end(), choice.first_dense);
  }
  if (numbers.absolute.size() != static_cast<std::size_t>(layers))
    fail_usage({"MoE layers", std::to_string(numbers.absolute.size()) + " numbers",
                std::to_string(layers) + ", one for each layer of the input", ""});
  const int least = numbers.absolute.empty() ? 0 : numbers.absolute.back() + 1;
  if (choice.hidden > 0) numbers.hidden = choice.hidden;
  if (choice.hidden > 0 && choice.hidden < least)
    fail_usage({"hidden layers", std::to_string(choice.hidden),
                "at least " + std::to_string(least) + ", the last MoE layer's number + 1", ""});
  numbers.hidden = std::max(numbers.hidden, least);
  if (numbers.hidden > kMaxHiddenLayers)
    fail_usage({"hidden layers", std::to_string(numbers.hidden),
                "at most " + std::to_string(kMaxHiddenLayers), ""});
  return numbers;
}

std::string layer_list_text(const std::vector<int>& layers) {
  std::string text;
  for (std::size_t i = 0; i < layers.size();) {
    std::size_t end = i + 1;
    while (end < layers.size() && layers[end] == layers[end - 1] + 1) ++end;
    text += (text.empty() ? "" : ",") + std::to_string(layers[i]);
    if (end - i > 1) text += "-" + std::to_string(layers[end - 1]);
    i = end;
  }
  return text;
}

}  // namespace gracemoe
