#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/safetensors.h"
#include "trace/metadata.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

constexpr char kFormat[] = "moe-stats";
// Above 2^53 counts are no longer exact in a double.
constexpr double kMaxCount = 9007199254740992.0;

template <typename Stored>
std::vector<double> to_doubles(const TensorView& tensor) {
  std::vector<double> out(tensor.bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<double>(value);
  }
  return out;
}

void check_counts(const std::vector<double>& counts, const std::string& what) {
  for (const double count : counts)
    if (!(count >= 0 && count <= kMaxCount))  // NaN fails too
      fail_input({what, std::to_string(count), "counts of at least 0, finite", ""});
}

// Symmetric up to the rounding of float32; the diagonal is cleared.
void tidy_affinity(RoutingStatistics& statistics, const std::string& what) {
  const auto n = static_cast<std::size_t>(statistics.num_experts);
  for (std::size_t layer = 0; layer < static_cast<std::size_t>(statistics.layers); ++layer) {
    double* a = statistics.affinity.data() + layer * n * n;
    for (std::size_t i = 0; i < n; ++i) {
      a[i * n + i] = 0;
      for (std::size_t j = 0; j < i; ++j) {
        const double upper = a[j * n + i];
        const double lower = a[i * n + j];
        if (std::abs(upper - lower) > 1e-5 * std::max(upper, lower))
          fail_input({what + ": layer " + std::to_string(layer) + ", experts " + std::to_string(j) +
                          " and " + std::to_string(i),
                      std::to_string(upper) + " and " + std::to_string(lower), "a symmetric matrix",
                      ""});
        a[i * n + j] = upper;
      }
    }
  }
}

bool all_exact_floats(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return static_cast<double>(static_cast<float>(v)) == v; });
}
bool all_integers(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::floor(v) == v; });
}

std::vector<std::int64_t> rounded(const std::vector<double>& values) {
  std::vector<std::int64_t> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(),
                 [](double v) { return std::llround(v); });
  return out;
}

}  // namespace

RoutingStatistics read_statistics(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const TraceShape shape = read_trace_shape(file, kFormat);
  RoutingStatistics statistics;
  statistics.model = meta_or_empty(file, "model");
  statistics.fingerprint = meta_or_empty(file, "fingerprint");
  statistics.num_experts = shape.num_experts;
  statistics.top_k = shape.top_k;
  statistics.layers = shape.layers;
  const std::string name = path.string();
  statistics.load =
      to_doubles<std::int64_t>(file.tensor("load", DType::kI64, {shape.layers, shape.num_experts}));
  check_counts(statistics.load, name + ": tensor load");
  if (!file.has("affinity")) return statistics;

  const std::string what = name + ": tensor affinity";
  const std::vector<std::int64_t> square{shape.layers, shape.num_experts, shape.num_experts};
  const DType dtype = file.tensor("affinity").dtype;
  if (dtype != DType::kI64 && dtype != DType::kF32)
    fail_input({what, dtype_name(dtype), "F32 or I64", ""});
  const TensorView& affinity = file.tensor("affinity", dtype, square);
  statistics.affinity =
      dtype == DType::kI64 ? to_doubles<std::int64_t>(affinity) : to_doubles<float>(affinity);
  check_counts(statistics.affinity, what);
  tidy_affinity(statistics, what);
  return statistics;
}

// Affinity is stored as F32 where that is exact (half the bytes), else as I64; estimates that are
// neither are rounded to F32.
void write_statistics(const std::filesystem::path& path, const RoutingStatistics& statistics) {
  const std::vector<std::int64_t> load = rounded(statistics.load);
  const std::int64_t n = statistics.num_experts;
  const std::int64_t layers = statistics.layers;
  std::map<std::string, TensorView> tensors;
  tensors["load"] = {DType::kI64, {layers, n}, std::as_bytes(std::span(load))};
  std::vector<float> floats;
  std::vector<std::int64_t> integers;
  if (!statistics.affinity.empty()) {
    if (all_exact_floats(statistics.affinity) || !all_integers(statistics.affinity)) {
      floats.assign(statistics.affinity.begin(), statistics.affinity.end());
      tensors["affinity"] = {DType::kF32, {layers, n, n}, std::as_bytes(std::span(floats))};
    } else {
      integers = rounded(statistics.affinity);
      tensors["affinity"] = {DType::kI64, {layers, n, n}, std::as_bytes(std::span(integers))};
    }
  }
  std::map<std::string, std::string> metadata{{"format", kFormat},
                                              {"version", "1"},
                                              {"model", statistics.model},
                                              {"num_experts", std::to_string(n)},
                                              {"top_k", std::to_string(statistics.top_k)},
                                              {"num_layers", std::to_string(layers)}};
  if (!statistics.fingerprint.empty()) metadata["fingerprint"] = statistics.fingerprint;
  write_safetensors(path, tensors, metadata);
}

}  // namespace gracemoe
