#include <charconv>
#include <cstring>
#include <map>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/safetensors.h"
#include "interop/tensorrt_llm.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

namespace fs = std::filesystem;

constexpr char kMeta[] = "meta_info.json";
constexpr char kRank0[] = "rank0.safetensors";
constexpr double kMaxCount = 9007199254740992.0;

// The layer of a tensor "<iteration>_<layer>".
int layer_of(const std::string& tensor, const std::string& file) {
  const std::string_view view = tensor;
  const std::size_t bar = view.find('_');
  int layer = -1;
  if (bar != view.npos) {
    const auto [end, error] =
        std::from_chars(view.data() + bar + 1, view.data() + view.size(), layer);
    if (error != std::errc() || end != view.data() + view.size()) layer = -1;
  }
  if (bar == 0 || view.find_first_not_of("0123456789") != bar || layer < 0 ||
      layer >= kMaxHiddenLayers)
    fail_input({file + ": tensor '" + tensor + "'", "this name", "<iteration>_<layer>",
                "check that this is a folder of TensorRT-LLM's expert statistics"});
  return layer;
}

void add_counts(std::vector<double>& sum, const TensorView& tensor, const std::string& what) {
  for (std::size_t e = 0; e < sum.size(); ++e) {
    std::int64_t count = 0;
    std::memcpy(&count, tensor.bytes.data() + e * sizeof count, sizeof count);
    sum[e] += static_cast<double>(count);
    if (count < 0 || sum[e] > kMaxCount)
      fail_input({what, std::to_string(count), "counts of at least 0, together at most 2^53", ""});
  }
}

void add_rank(std::map<int, std::vector<double>>& layers, const fs::path& path, int experts) {
  const SafetensorsFile file(path);
  for (const auto& [name, unchecked] : file.tensors()) {
    auto& sum = layers[layer_of(name, path.string())];
    const TensorView& tensor = file.tensor(name, DType::kI64, {experts});
    sum.resize(static_cast<std::size_t>(experts));
    add_counts(sum, tensor, path.string() + ": tensor '" + name + "'");
  }
}

bool is_rank_file(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with("rank") && path.extension() == ".safetensors";
}

}  // namespace

Loads read_trtllm_statistics(const fs::path& folder) {
  const Json json = read_json(folder / kMeta);
  const JsonObject meta(json, (folder / kMeta).string());
  const auto experts = static_cast<int>(meta.integer("num_experts", 1, kMaxExperts));
  const auto top_k =
      static_cast<int>(meta.integer("num_experts_per_token", 1, std::min(experts, kMaxTopK)));
  std::map<int, std::vector<double>> layers;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (is_rank_file(it->path())) add_rank(layers, it->path(), experts);
  if (error) fail_input({folder.string(), error.message(), "a readable folder", ""});
  if (layers.empty())
    fail_input({folder.string(), "no counts", "rank<r>.safetensors with at least one layer", ""});
  LayerNumbers numbers;
  std::vector<std::vector<double>> rows;
  for (auto& [layer, sum] : layers) {
    numbers.absolute.push_back(layer);
    rows.push_back(std::move(sum));
  }
  Loads loads = loads_of_moe_layers(rows, folder.string());
  loads.statistics.top_k = top_k;
  loads.numbers = std::move(numbers);
  return loads;
}

void write_trtllm_statistics(const fs::path& folder, const RoutingStatistics& statistics,
                             const LayerNumbers& numbers) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error || !fs::is_directory(folder))
    fail_output({"cannot make the folder " + folder.string(),
                 error ? error.message() : "something else of this name", "",
                 "choose another name"});
  for (const auto& file : fs::directory_iterator(folder))
    if (is_rank_file(file.path()) && file.path().filename() != kRank0)
      fail_output({"cannot write statistics into " + folder.string(),
                   file.path().filename().string() + " there, whose counts would be added", "",
                   "choose another folder"});
  const OrderedJson meta{{"num_experts", statistics.num_experts},
                         {"num_experts_per_token", statistics.top_k}};
  std::map<std::string, TensorView> tensors;
  const std::vector<std::int64_t> counts(statistics.load.begin(), statistics.load.end());
  const auto n = static_cast<std::size_t>(statistics.num_experts);
  for (std::size_t l = 0; l < numbers.absolute.size(); ++l)
    tensors["0_" + std::to_string(numbers.absolute[l])] = {
        DType::kI64,
        {statistics.num_experts},
        std::as_bytes(std::span(counts)).subspan(l * n * 8, n * 8)};
  write_safetensors(folder / kRank0, tensors, {});
  write_file(folder / kMeta, meta.dump() + "\n");
}

}  // namespace gracemoe
