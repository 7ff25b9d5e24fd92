// The feed-forward network that every token takes: a layer without experts, or the shared experts
// of a mixture.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "compute/backend.h"
#include "engine/feed_forward.h"

namespace gracemoe {

// down(silu(gate(x)) * up(x)): an expert that all rows go to.
class Mlp {
 public:
  // `expert` holds exactly one.
  Mlp(std::unique_ptr<ExpertGroup> expert, int hidden)
      : expert_(std::move(expert)), hidden_(static_cast<std::size_t>(hidden)) {}
  // rows [count, hidden] in the backend's row element type -> out [count, hidden], rounded as an
  // expert's output is.
  void forward(const Backend& backend, std::span<const std::byte> rows, std::span<float> out);

 private:
  std::unique_ptr<ExpertGroup> expert_;
  std::size_t hidden_;
  std::vector<std::int32_t> row_of_;
  std::vector<std::byte> outputs_;
};

std::unique_ptr<FeedForwardBlock> make_dense_block(std::unique_ptr<Mlp> mlp,
                                                   const Backend& backend);

}  // namespace gracemoe
