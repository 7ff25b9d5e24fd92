#include "trace/routing_trace.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "base/safetensors.h"
#include "trace/half.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kFormat[] = "moe-trace";

// A file of others may be misaligned, so elements are copied out, never viewed in place.
template <typename Stored, typename Out, typename Convert>
std::vector<Out> copy_elements(const TensorView& tensor, Convert convert) {
  std::vector<Out> out(tensor.bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(value);
  }
  return out;
}

[[noreturn]] void wrong_dtype(const SafetensorsFile& file, const std::string& tensor, DType got,
                              const std::string& wanted) {
  fail_input({file.path().string() + ": tensor " + tensor, dtype_name(got), wanted, ""});
}

// Ids that do not fit 16 bits become 65535, which is never a valid id (num_experts <= 65535), and
// are refused later.
std::vector<std::uint16_t> read_experts(const SafetensorsFile& file, const TensorView& tensor) {
  const auto narrow = [](auto id) {
    return static_cast<std::uint16_t>(std::clamp<std::int64_t>(id, 0, 65535) == id ? id : 65535);
  };
  switch (tensor.dtype) {
    case DType::kU8:
      return copy_elements<std::uint8_t, std::uint16_t>(tensor, narrow);
    case DType::kU16:
      return copy_elements<std::uint16_t, std::uint16_t>(tensor, narrow);
    case DType::kI32:
      return copy_elements<std::int32_t, std::uint16_t>(tensor, narrow);
    default:
      wrong_dtype(file, "experts", tensor.dtype, "U8, U16 or I32");
  }
}

std::vector<float> read_weights(const SafetensorsFile& file, const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::kF16:
      return copy_elements<std::uint16_t, float>(tensor, half_to_float);
    case DType::kF32:
      return copy_elements<float, float>(tensor, [](float w) { return w; });
    default:
      wrong_dtype(file, "weights", tensor.dtype, "F16 or F32");
  }
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + "]";
}

void expect_shape(const SafetensorsFile& file, const std::string& name,
                  const std::vector<std::int64_t>& wanted) {
  const TensorView& tensor = file.tensor(name);
  if (tensor.shape != wanted)
    fail_input({file.path().string() + ": tensor " + name, "shape " + shape_text(tensor.shape),
                shape_text(wanted), ""});
}

std::string place(std::int64_t token, int layer) {
  return "token " + std::to_string(token) + ", layer " + std::to_string(layer);
}

// Every id in range and none twice within a (token, layer).
void check_experts(const RoutingTrace& trace, const std::string& name) {
  std::vector<std::int64_t> seen_at(static_cast<std::size_t>(trace.num_experts), -1);
  std::int64_t row = 0;
  for (std::int64_t token = 0; token < trace.tokens(); ++token) {
    for (int layer = 0; layer < trace.layers; ++layer, ++row) {
      for (const std::uint16_t id : trace.chosen(token, layer)) {
        if (id >= trace.num_experts)
          fail_input({name + ": experts: " + place(token, layer), "expert " + std::to_string(id),
                      "ids from 0 to " + std::to_string(trace.num_experts - 1), ""});
        if (seen_at[id] == row)
          fail_input({name + ": experts: " + place(token, layer),
                      "expert " + std::to_string(id) + " twice", "distinct experts", ""});
        seen_at[id] = row;
      }
    }
  }
}

void check_sequences(const RoutingTrace& trace, const std::string& name) {
  std::unordered_set<std::int32_t> ended;
  for (std::size_t t = 0; t < trace.sequence.size(); ++t) {
    const std::int32_t now = trace.sequence[t];
    if (now < 0)
      fail_input({name + ": sequence: token " + std::to_string(t), std::to_string(now),
                  "a sequence number of at least 0", ""});
    if (t == 0 || now == trace.sequence[t - 1]) continue;
    ended.insert(trace.sequence[t - 1]);
    if (ended.contains(now))
      fail_input({name + ": sequence: token " + std::to_string(t),
                  "sequence " + std::to_string(now) + " again after another one",
                  "the tokens of a sequence together", ""});
  }
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

}  // namespace

RoutingTrace read_trace(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const TraceShape shape = read_trace_shape(file, kFormat);
  RoutingTrace trace;
  trace.model = meta_or_empty(file, "model");
  trace.fingerprint = meta_or_empty(file, "fingerprint");
  trace.phase = meta_or_empty(file, "phase");
  trace.num_experts = shape.num_experts;
  trace.top_k = shape.top_k;
  trace.layers = shape.layers;

  const TensorView& sequence = file.tensor("sequence");
  if (sequence.dtype != DType::kI32) wrong_dtype(file, "sequence", sequence.dtype, "I32");
  if (sequence.shape.size() != 1)
    fail_input({path.string() + ": tensor sequence", "shape " + shape_text(sequence.shape),
                "[tokens]", ""});
  trace.sequence = copy_elements<std::int32_t, std::int32_t>(sequence, [](auto s) { return s; });
  check_sequences(trace, path.string());

  expect_shape(file, "experts", {trace.tokens(), trace.layers, trace.top_k});
  trace.experts = read_experts(file, file.tensor("experts"));
  check_experts(trace, path.string());
  if (file.has("weights")) {
    expect_shape(file, "weights", {trace.tokens(), trace.layers, trace.top_k});
    trace.weights = read_weights(file, file.tensor("weights"));
    if (!std::all_of(trace.weights.begin(), trace.weights.end(),
                     [](float w) { return std::isfinite(w); }))
      fail_input({path.string() + ": tensor weights", "NaN or infinity", "finite weights", ""});
  }
  return trace;
}

void write_trace(const std::filesystem::path& path, const RoutingTrace& trace) {
  const auto k = static_cast<std::size_t>(trace.top_k);
  const std::size_t slots = trace.sequence.size() * static_cast<std::size_t>(trace.layers) * k;
  GM_CHECK(trace.experts.size() == slots, "trace: experts is not [tokens, layers, top_k]");
  GM_CHECK(trace.weights.empty() || trace.weights.size() == slots, "trace: weights' shape");
  const std::vector<std::int64_t> shape{trace.tokens(), trace.layers, trace.top_k};
  std::map<std::string, TensorView> tensors;
  tensors["sequence"] = {DType::kI32, {trace.tokens()}, bytes_of(trace.sequence)};
  std::vector<std::uint8_t> narrow;
  if (trace.num_experts <= 256) {
    narrow.assign(trace.experts.begin(), trace.experts.end());
    tensors["experts"] = {DType::kU8, shape, bytes_of(narrow)};
  } else {
    tensors["experts"] = {DType::kU16, shape, bytes_of(trace.experts)};
  }
  if (!trace.weights.empty()) tensors["weights"] = {DType::kF32, shape, bytes_of(trace.weights)};
  std::map<std::string, std::string> metadata{{"format", kFormat},
                                              {"version", "1"},
                                              {"model", trace.model},
                                              {"num_experts", std::to_string(trace.num_experts)},
                                              {"top_k", std::to_string(trace.top_k)},
                                              {"num_layers", std::to_string(trace.layers)},
                                              {"phase", trace.phase}};
  if (!trace.fingerprint.empty()) metadata["fingerprint"] = trace.fingerprint;
  write_safetensors(path, tensors, metadata);
}

}  // namespace gracemoe
