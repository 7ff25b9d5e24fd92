#include "exchange/transport.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr Phase kBarrier{900, "barrier"};
constexpr Phase kSum{901, "sum"};
constexpr Phase kMax{902, "maximum"};
constexpr Phase kGather{903, "gather"};
constexpr Phase kBroadcast{904, "broadcast", -1, 1};  // of what was gathered

class LocalTransport final : public Transport {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase&) override {
    GM_CHECK(out.empty() && from.empty(), "a single process has no peer to exchange with");
    return {};
  }
};

}  // namespace

std::string to_string(const Phase& phase) {
  if (phase.layer < 0) return phase.name;
  return std::string(phase.name) + ", layer " + std::to_string(phase.layer);
}

std::unique_ptr<Transport> make_local_transport() {
  return std::make_unique<LocalTransport>();
}

void Transport::begin_send(Outbound&) {
  GM_CHECK(false, "this transport has no peer to send to");
}
void Transport::begin_receive(Inbound&) {
  GM_CHECK(false, "this transport has no peer to receive from");
}
void Transport::poll() {}
void Transport::wait() {}

// Dissemination: after the round of distance s a rank has heard, indirectly, of the 2s - 1 before.
void Transport::barrier() {
  for (int distance = 1; distance < size(); distance *= 2) {
    const OutgoingMessage out{(rank() + distance) % size(), {}};
    const int from = (rank() - distance + size()) % size();
    exchange({&out, 1}, {&from, 1}, kBarrier);
  }
}

std::vector<Bytes> Transport::gather(std::span<const std::byte> bytes, int root) {
  GM_CHECK(root >= 0 && root < size(), "gather: root out of range");
  if (rank() != root) {
    const OutgoingMessage out{root, bytes};
    exchange({&out, 1}, {}, kGather);
    return {};
  }
  std::vector<int> from;
  for (int r = 0; r < size(); ++r) {
    if (r != root) from.push_back(r);
  }
  std::vector<Bytes> all(static_cast<std::size_t>(size()));
  all[static_cast<std::size_t>(root)].assign(bytes.begin(), bytes.end());
  if (from.empty()) return all;
  for (IncomingMessage& message : exchange({}, from, kGather)) {
    all[static_cast<std::size_t>(message.from)] = std::move(message.bytes);
  }
  return all;
}

// A binomial tree over ranks counted from the root: number v receives from v without its lowest set
// bit, then serves v + s for every smaller power of two s.
Bytes Transport::broadcast(std::span<const std::byte> bytes, int root) {
  GM_CHECK(root >= 0 && root < size(), "broadcast: root out of range");
  const int number = (rank() - root + size()) % size();
  int step = 1;
  while (step < size() && (number & step) == 0) step *= 2;
  Bytes held;
  if (number == 0) {
    held.assign(bytes.begin(), bytes.end());
  } else {
    const int from = (number - step + root) % size();
    held = std::move(exchange({}, {&from, 1}, kBroadcast).front().bytes);
  }
  std::vector<OutgoingMessage> out;
  for (step /= 2; step >= 1; step /= 2) {
    if (number + step < size()) out.push_back({(number + step + root) % size(), held});
  }
  if (!out.empty()) exchange(out, {}, kBroadcast);
  return held;
}

template <typename T, typename Merge>
void Transport::reduce(std::span<T> values, const Phase& phase, Merge merge) {
  if (size() == 1) return;
  const std::vector<Bytes> all = gather(std::as_bytes(values), 0);
  std::vector<T> part(values.size());
  for (int r = 1; r < static_cast<int>(all.size()); ++r) {
    const Bytes& bytes = all[static_cast<std::size_t>(r)];
    if (bytes.size() != values.size_bytes()) {
      fail(ErrorCategory::kPeer, {to_string(phase) + ": values of rank " + std::to_string(r),
                                  std::to_string(bytes.size() / sizeof(T)),
                                  std::to_string(values.size()), "the ranks are out of step"});
    }
    if (!bytes.empty()) std::memcpy(part.data(), bytes.data(), bytes.size());
    std::transform(values.begin(), values.end(), part.begin(), values.begin(), merge);
  }
  const Bytes result = broadcast(std::as_bytes(values), 0);
  GM_CHECK(result.size() == values.size_bytes(), "ranks reduce values of different lengths");
  if (!result.empty()) std::memcpy(values.data(), result.data(), result.size());
}

void Transport::sum(std::span<std::int64_t> values) {
  reduce(values, kSum, std::plus<>());
}
void Transport::sum(std::span<double> values) {
  reduce(values, kSum, std::plus<>());
}
void Transport::max(std::span<double> values) {
  reduce(values, kMax, [](double a, double b) { return std::max(a, b); });
}

}  // namespace gracemoe
