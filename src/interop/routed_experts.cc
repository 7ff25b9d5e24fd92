#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "interop/token_lists.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// The bytes, if all of the text is base64 (quotes and white space around it aside); else the text
// itself. Raw numbers are no base64 by accident: ids below 256 have a zero byte each.
std::string decoded(const std::string& text) {
  constexpr char kAround[] = " \t\r\n\"";
  const std::size_t begin = text.find_first_not_of(kAround);
  if (begin == text.npos) return text;
  std::string_view view(text);
  view = view.substr(begin, text.find_last_not_of(kAround) - begin + 1);
  if (view.size() % 4 != 0) return text;
  while (!view.empty() && view.back() == '=') view.remove_suffix(1);
  std::array<int, 256> values{};
  values.fill(-1);
  for (int i = 0; i < 64; ++i) values[static_cast<unsigned char>(kDigits[i])] = i;
  std::string bytes;
  unsigned bits = 0;
  int held = 0;
  for (const char c : view) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return text;
    bits = (bits << 6U | static_cast<unsigned>(value)) & 0xffffU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes.push_back(static_cast<char>(bits >> static_cast<unsigned>(held) & 0xffU));
  }
  return bytes;
}

void check_shape(const RoutedExpertsShape& shape, const std::string& name) {
  if (shape.layers == 0 || shape.top_k == 0)
    fail_usage({name, "numbers without a shape", "--layers N and --top-k K",
                "say the layers the file holds, dense ones too, and the experts a token chooses"});
}

void append_token(RoutingTrace& trace, const std::string& bytes, std::size_t token,
                  const RoutedExpertsShape& shape, const std::vector<int>& layers,
                  const std::string& name) {
  const auto k = static_cast<std::size_t>(shape.top_k);
  for (const int layer : layers) {
    const std::size_t row =
        token * static_cast<std::size_t>(shape.layers) + static_cast<std::size_t>(layer);
    const std::size_t begin = trace.experts.size();
    for (std::size_t i = 0; i < k; ++i) {
      std::int16_t id = 0;
      std::memcpy(&id, bytes.data() + (row * k + i) * sizeof id, sizeof id);
      const auto expert = static_cast<std::uint16_t>(id);
      const auto first = trace.experts.begin() + static_cast<std::ptrdiff_t>(begin);
      const bool twice = std::find(first, trace.experts.end(), expert) != trace.experts.end();
      if (id < 0 || (shape.num_experts > 0 && id >= shape.num_experts) || twice)
        fail_input(
            {name + ": token " + std::to_string(token) + ", layer " + std::to_string(layer),
             "expert " + std::to_string(id) + (twice ? " twice" : ""),
             "distinct experts" + (shape.num_experts > 0
                                       ? " from 0 to " + std::to_string(shape.num_experts - 1)
                                       : std::string(" of at least 0")),
             "check --layers and --top-k, and name the MoE layers (--moe-layers) if some "
             "are dense"});
      trace.experts.push_back(expert);
    }
  }
}

}  // namespace

Tokens read_routed_experts(const std::vector<std::string>& requests,
                           const std::vector<std::string>& names, const RoutedExpertsShape& shape,
                           const LayerChoice& choice) {
  check_shape(shape, names.front());
  Tokens tokens;
  tokens.numbers = choose_rows(choice, shape.layers, {}, names.front());
  RoutingTrace& trace = tokens.trace;
  trace.layers = static_cast<int>(tokens.numbers.absolute.size());
  trace.top_k = shape.top_k;
  const std::size_t token_bytes = static_cast<std::size_t>(shape.layers) *
                                  static_cast<std::size_t>(shape.top_k) * sizeof(std::int16_t);
  for (std::size_t r = 0; r < requests.size(); ++r) {
    const std::string bytes = decoded(requests[r]);
    if (bytes.empty() || bytes.size() % token_bytes != 0)
      fail_input({names[r], std::to_string(bytes.size()) + " bytes",
                  "a multiple of " + std::to_string(token_bytes) +
                      ": layers x top_k numbers of 2 bytes a token",
                  "check --layers and --top-k"});
    for (std::size_t t = 0; t < bytes.size() / token_bytes; ++t) {
      append_token(trace, bytes, t, shape, tokens.numbers.absolute, names[r]);
      trace.sequence.push_back(static_cast<std::int32_t>(r));
    }
  }
  const auto largest = *std::max_element(trace.experts.begin(), trace.experts.end());
  trace.num_experts = shape.num_experts > 0 ? shape.num_experts : largest + 1;
  return tokens;
}

}  // namespace gracemoe
