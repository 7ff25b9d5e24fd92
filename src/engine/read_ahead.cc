#include "engine/read_ahead.h"

#include <algorithm>
#include <charconv>
#include <climits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "model/fingerprint.h"

namespace gracemoe {
namespace {

// The number behind `label` in a tensor's name; INT_MAX: none.
int number_after(std::string_view name, std::string_view label) {
  const std::size_t at = name.find(label);
  int number = INT_MAX;
  if (at != name.npos)
    std::from_chars(name.data() + at + label.size(), name.data() + name.size(), number);
  return number;
}

// [layers] the experts of a device, ascending; empty for layers without.
std::vector<std::vector<int>> experts_of_layers(const ModelConfig& config, const Plan& plan,
                                                int device) {
  std::vector<std::vector<int>> experts(static_cast<std::size_t>(config.layers));
  for (std::size_t i = 0; i < config.moe_layers.size(); ++i) {
    auto& its = experts[static_cast<std::size_t>(config.moe_layers[i])];
    its = plan.experts_on(static_cast<int>(i), device);
    std::sort(its.begin(), its.end());
  }
  return experts;
}

}  // namespace

std::vector<FilePart> loading_order(const Checkpoint& checkpoint, const ModelConfig& config,
                                    const Plan& plan, int device, const SharedHashes* hashes) {
  const auto experts = experts_of_layers(config, plan, device);
  using Place = std::tuple<int, bool, const std::byte*>;  // layer, of an expert, address
  std::vector<std::pair<Place, FilePart>> order;
  for (const auto& [name, tensor] : checkpoint.all()) {
    const int layer = number_after(name, "model.layers.");
    const bool of_expert = is_expert_tensor(name);
    if (of_expert) {
      if (layer < 0 || layer >= config.layers) continue;
      const auto& its = experts[static_cast<std::size_t>(layer)];
      if (!std::binary_search(its.begin(), its.end(), number_after(name, ".experts."))) continue;
    }
    const bool mine = of_expert || hashes == nullptr || hashes->mine(name);
    const bool kept = tensor->shape.size() == 1 || (name == kEmbedding && !config.tied_embeddings);
    order.push_back({{layer, of_expert, tensor->bytes.data()},
                     {tensor->bytes, mine, kept ? name : std::string()}});
  }
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<FilePart> parts;
  parts.reserve(order.size());
  for (const auto& [place, part] : order) parts.push_back(part);
  return parts;
}

ReadAhead::ReadAhead(std::vector<FilePart> parts, std::size_t window,
                     std::shared_ptr<SharedHashes> hashes)
    : parts_(std::move(parts)), window_(window), hashes_(std::move(hashes)) {
  if (!parts_.empty()) thread_ = std::thread([this] { fetch(); });
}

ReadAhead::~ReadAhead() {
  end(true);
}

void ReadAhead::finish() {
  end(false);
}

void ReadAhead::end(bool at_once) {
  {
    const std::lock_guard lock(guard_);
    (at_once ? stop_ : last_) = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ReadAhead::taken(std::size_t bytes) {
  {
    const std::lock_guard lock(guard_);
    taken_ += bytes;
  }
  changed_.notify_one();
}

bool ReadAhead::wait_for_room(std::size_t passed) {
  std::unique_lock lock(guard_);
  const auto room = [&] { return passed < taken_ + window_; };
  changed_.wait(lock, [&] { return stop_ || last_ || room(); });
  return !stop_ && room();
}

bool ReadAhead::stopped() {
  const std::lock_guard lock(guard_);
  return stop_;
}

void ReadAhead::fetch() {
  std::size_t passed = 0;
  for (const FilePart& part : parts_) {
    if (!wait_for_room(passed) || !fetch(part)) return;
    passed += part.bytes.size();
    if (!part.kept.empty()) taken(part.bytes.size());
  }
}

bool ReadAhead::fetch(const FilePart& part) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  if (!part.mine) return true;
  TensorHash hash(part.kept);
  for (std::size_t at = 0; at < part.bytes.size(); at += kPiece) {
    if (stopped()) return false;
    const auto piece = part.bytes.subspan(at, std::min(kPiece, part.bytes.size() - at));
    MappedFile::fetch(piece);
    if (part.kept.empty()) continue;
    if (hashes_ != nullptr) hash.add(piece);
    MappedFile::release(piece);
  }
  if (hashes_ != nullptr && !part.kept.empty()) hashes_->take(part.kept, hash);
  return true;
}

}  // namespace gracemoe
