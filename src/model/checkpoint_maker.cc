#include "model/checkpoint_maker.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <ostream>
#include <span>
#include <vector>

#include "base/bf16.h"
#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/progress.h"
#include "model/config_parts.h"
#include "model/model_tensors.h"
#include "model/released_models.h"

namespace gracemoe {
namespace {

// bf16 values that a 16-bit number picks from, normal with this deviation: the sum of three uniform
// ones, which ends at three deviations.
std::vector<bf16> normal_table(double deviation, std::uint64_t seed) {
  std::vector<bf16> table(1 << 16);
  for (std::size_t i = 0; i < table.size(); ++i) {
    double sum = 0;
    for (std::uint64_t j = 0; j < 3; ++j) sum += 2 * unit_interval(hash_combine(seed + j, i)) - 1;
    table[i] = to_bf16(static_cast<float>(deviation * sum));
  }
  return table;
}

class ShardWriter {
 public:
  ShardWriter(std::uint64_t seed, const std::function<void(std::int64_t)>& progress)
      : seed_(seed), progress_(progress) {}

  void write(const std::filesystem::path& path, std::span<const ModelTensor> tensors) {
    Json header = Json::object();
    header["__metadata__"] = {{"format", "pt"}};
    std::int64_t offset = 0;
    for (const ModelTensor& tensor : tensors) {
      header[tensor.name] = {{"dtype", "BF16"},
                             {"shape", tensor.shape},
                             {"data_offsets", {offset, offset + tensor.bytes()}}};
      offset += tensor.bytes();
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    write_file(path, [&](std::ostream& out) {
      const std::uint64_t length = text.size();
      out.write(reinterpret_cast<const char*>(&length), sizeof length);
      out.write(text.data(), static_cast<std::streamsize>(text.size()));
      for (const ModelTensor& tensor : tensors) write_tensor(out, tensor);
    });
  }

 private:
  void write_tensor(std::ostream& out, const ModelTensor& tensor) {
    const bool norm = tensor.shape.size() == 1;
    const std::uint64_t seed = hash_combine(
        seed_, hash_bytes(std::as_bytes(std::span(tensor.name.data(), tensor.name.size()))));
    const std::vector<bf16>& table = norm ? tables_[0] : table_of(tensor.shape[1]);
    std::vector<bf16> chunk;
    const auto elements = static_cast<std::size_t>(tensor.bytes()) / sizeof(bf16);
    constexpr std::size_t kChunk = 1 << 20;
    for (std::size_t first = 0; first < elements; first += kChunk) {
      chunk.assign(std::min(kChunk, elements - first), to_bf16(1));
      if (!norm) fill(chunk, first, seed, table);
      out.write(reinterpret_cast<const char*>(chunk.data()),
                static_cast<std::streamsize>(chunk.size() * sizeof(bf16)));
      done_ += static_cast<std::int64_t>(chunk.size() * sizeof(bf16));
      if (progress_) progress_(done_);
    }
  }

  const std::vector<bf16>& table_of(std::int64_t fan_in) {
    std::vector<bf16>& table = tables_[fan_in];
    if (table.empty()) table = normal_table(1 / std::sqrt(static_cast<double>(fan_in)), seed_);
    return table;
  }

  // `first` is a multiple of 4: one hash serves four values.
  static void fill(std::vector<bf16>& chunk, std::size_t first, std::uint64_t seed,
                   const std::vector<bf16>& table) {
    for (std::size_t i = 0; i < chunk.size(); i += 4) {
      std::uint64_t hash = hash_combine(seed, first + i);
      for (std::size_t j = i; j < std::min(i + 4, chunk.size()); ++j, hash >>= 16)
        chunk[j] = table[hash & 0xffffU];
    }
  }

  std::uint64_t seed_;
  const std::function<void(std::int64_t)>& progress_;
  std::map<std::int64_t, std::vector<bf16>> tables_;  // by fan-in
  std::int64_t done_ = 0;
};

// Tensors in order, cut before a shard exceeds the size.
std::vector<std::vector<ModelTensor>> cut_shards(std::vector<ModelTensor> tensors,
                                                 double shard_gb) {
  std::vector<std::vector<ModelTensor>> shards(1);
  std::int64_t size = 0;
  for (ModelTensor& tensor : tensors) {
    if (!shards.back().empty() && static_cast<double>(size + tensor.bytes()) > shard_gb * 1e9) {
      shards.emplace_back();
      size = 0;
    }
    size += tensor.bytes();
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  const auto five = [](std::size_t n) {
    const std::string digits = std::to_string(n);
    return std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits;
  };
  return "model-" + five(index + 1) + "-of-" + five(count) + ".safetensors";
}

void require_room(const std::filesystem::path& folder, std::int64_t bytes) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    fail_output(
        {folder.string(), error.message(), "a folder to write into", "name another folder"});
  if (!std::filesystem::is_empty(folder, error) || error)
    fail_output({folder.string(), "a folder that is not empty", "a new or empty one",
                 "name another folder"});
  const auto space = std::filesystem::space(folder, error);
  if (!error && space.available < static_cast<std::uintmax_t>(bytes))
    fail_output({folder.string(),
                 human_bytes(static_cast<double>(space.available)) + " of free disk",
                 human_bytes(static_cast<double>(bytes)), "fewer --layers, or another disk"});
}

OrderedJson config_of(const CheckpointRecipe& recipe) {
  if (recipe.preset.empty() == recipe.config.empty())
    fail_usage({"shapes to make a checkpoint of", recipe.preset.empty() ? "none" : "two of them",
                "either --preset or --config", "give one of them"});
  OrderedJson config = recipe.config.empty() ? released_config(recipe.preset)
                                             : OrderedJson(read_json(recipe.config));
  if (recipe.layers > 0) config["num_hidden_layers"] = recipe.layers;
  return config;
}

ModelConfig parsed(const OrderedJson& config) {
  return parse_model_config(parse_json(config.dump(), "config.json"), "config.json");
}

}  // namespace

std::int64_t checkpoint_bytes(const CheckpointRecipe& recipe) {
  std::int64_t total = 0;
  for (const ModelTensor& tensor : model_tensors(parsed(config_of(recipe))))
    total += tensor.bytes();
  return total;
}

void make_checkpoint(const CheckpointRecipe& recipe, const std::filesystem::path& folder,
                     const std::function<void(std::int64_t bytes)>& progress) {
  const OrderedJson config = config_of(recipe);
  const ModelConfig shapes = parsed(config);
  const std::int64_t bytes = checkpoint_bytes(recipe);
  const std::string tokenizer = recipe.tokenizer.empty() ? "" : read_file(recipe.tokenizer);
  require_room(folder, bytes);
  if (!tokenizer.empty()) write_file(folder / "tokenizer.json", tokenizer);
  write_file(folder / "config.json", config.dump(2) + "\n");
  write_file(
      folder / "generation_config.json",
      OrderedJson{{"eos_token_id", config.value("eos_token_id", OrderedJson())}}.dump(2) + "\n");
  const auto shards = cut_shards(model_tensors(shapes), recipe.shard_gb);
  ShardWriter writer(recipe.seed, progress);
  OrderedJson index = {{"metadata", {{"total_size", bytes}}},
                       {"weight_map", OrderedJson::object()}};
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i, shards.size());
    writer.write(folder / name, shards[i]);
    for (const ModelTensor& tensor : shards[i]) index["weight_map"][tensor.name] = name;
  }
  if (shards.size() > 1) write_file(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace gracemoe
