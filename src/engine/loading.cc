#include "engine/loading.h"

namespace gracemoe {

WeightView weight(Checkpoint& checkpoint, const std::string& name, int out, int in) {
  return {checkpoint.tensor(name, {out, in}).as<bf16>(), out, in};
}

std::unique_ptr<Linear> load_linear(Checkpoint& checkpoint, const Backend& backend,
                                    const std::string& name, int out, int in) {
  return backend.linear(weight(checkpoint, name, out, in));
}

std::vector<bf16> load_vector(Checkpoint& checkpoint, const std::string& name, int size) {
  const std::span<const bf16> data = checkpoint.tensor(name, {size}).as<bf16>();
  return {data.begin(), data.end()};
}

std::unique_ptr<ExpertGroup> load_experts(Checkpoint& checkpoint, const Backend& backend,
                                          const std::string& prefix, const std::vector<int>& ids,
                                          int width, int hidden) {
  std::vector<ExpertWeights> experts;
  for (const int id : ids) {
    const std::string expert = prefix + std::to_string(id) + ".";
    experts.push_back({weight(checkpoint, expert + "gate_proj.weight", width, hidden),
                       weight(checkpoint, expert + "up_proj.weight", width, hidden),
                       weight(checkpoint, expert + "down_proj.weight", hidden, width)});
  }
  return backend.experts(std::move(experts));
}

}  // namespace gracemoe
