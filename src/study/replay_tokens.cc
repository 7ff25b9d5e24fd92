#include "study/replay_tokens.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "base/error.h"
#include "routing/homes.h"

namespace gracemoe {
namespace {

constexpr Phase kDeal{810, "dealing of the trace"};

std::vector<int> devices_of(ReplayHomes homes, const Topology& topology) {
  std::vector<int> devices;
  for (int device = 0; device < topology.devices(); ++device)
    if (homes == ReplayHomes::kEven || topology.local_index(device) == 0) devices.push_back(device);
  return devices;
}

// Tokens of the trace by home device, in the trace's order.
std::vector<std::vector<std::size_t>> tokens_of_devices(const RoutingTrace& trace,
                                                        const std::vector<int>& homes_among,
                                                        int devices) {
  std::map<std::int32_t, std::size_t> number;  // of a sequence, by order of appearance
  std::vector<std::int64_t> lengths;
  for (const std::int32_t sequence : trace.sequence) {
    const auto [at, fresh] = number.emplace(sequence, lengths.size());
    if (fresh) lengths.push_back(0);
    ++lengths[at->second];
  }
  const std::vector<int> homes = deal_homes(lengths, static_cast<int>(homes_among.size()));
  std::vector<std::vector<std::size_t>> tokens(static_cast<std::size_t>(devices));
  for (std::size_t t = 0; t < trace.sequence.size(); ++t) {
    const auto home = static_cast<std::size_t>(homes[number.at(trace.sequence[t])]);
    tokens[static_cast<std::size_t>(homes_among[home])].push_back(t);
  }
  return tokens;
}

float made_up_weight(int slot, int top_k) {
  return static_cast<float>(2 * (top_k - slot)) / static_cast<float>(top_k * (top_k + 1));
}

ReplayTokens take(const RoutingTrace& trace, const std::vector<std::size_t>& tokens) {
  ReplayTokens part{trace.layers, trace.top_k, trace.num_experts, {}, {}, {}, {}};
  const auto width = static_cast<std::size_t>(trace.layers * trace.top_k);
  for (const std::size_t t : tokens) {
    const bool goes_on = !part.sequence.empty() && part.sequence.back() == trace.sequence[t];
    part.position.push_back(goes_on ? part.position.back() + 1 : 0);
    part.sequence.push_back(trace.sequence[t]);
    for (std::size_t i = t * width; i < (t + 1) * width; ++i) {
      part.chosen.push_back(trace.experts[i]);
      part.weight.push_back(
          trace.weights.empty()
              ? made_up_weight(static_cast<int>(i % static_cast<std::size_t>(trace.top_k)),
                               trace.top_k)
              : trace.weights[i]);
    }
  }
  return part;
}

template <typename T>
void append(Bytes& bytes, const std::vector<T>& values) {
  const auto raw = std::as_bytes(std::span(values));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

template <typename T>
std::vector<T> cut(std::span<const std::byte>& bytes, std::size_t count) {
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
  return values;
}

Bytes packed(const ReplayTokens& part) {
  Bytes bytes;
  append(bytes, std::vector<std::int32_t>{part.layers, part.top_k, part.experts,
                                          static_cast<std::int32_t>(part.tokens())});
  append(bytes, part.sequence);
  append(bytes, part.position);
  append(bytes, part.weight);
  append(bytes, part.chosen);
  return bytes;
}

ReplayTokens unpacked(std::span<const std::byte> bytes) {
  const auto head = cut<std::int32_t>(bytes, 4);
  const auto tokens = static_cast<std::size_t>(head[3]);
  const std::size_t width = static_cast<std::size_t>(head[0] * head[1]);
  ReplayTokens part{head[0], head[1], head[2], {}, {}, {}, {}};
  part.sequence = cut<std::int32_t>(bytes, tokens);
  part.position = cut<std::int32_t>(bytes, tokens);
  part.weight = cut<float>(bytes, tokens * width);
  part.chosen = cut<std::uint16_t>(bytes, tokens * width);
  return part;
}

}  // namespace

ReplayHomes parse_replay_homes(const std::string& text) {
  if (text == "even") return ReplayHomes::kEven;
  if (text == "first") return ReplayHomes::kFirst;
  fail_usage({"homes", "'" + text + "'", "one of even, first", ""});
}

ReplayTokens deal_trace(const RoutingTrace& trace, ReplayHomes homes, const Topology& topology,
                        Transport& transport) {
  if (transport.rank() != 0) {
    const std::array<int, 1> root{0};
    return unpacked(transport.exchange({}, root, kDeal).front().bytes);
  }
  const auto tokens = tokens_of_devices(trace, devices_of(homes, topology), transport.size());
  std::vector<Bytes> parts;
  std::vector<OutgoingMessage> out;
  for (int rank = 1; rank < transport.size(); ++rank)
    parts.push_back(packed(take(trace, tokens[static_cast<std::size_t>(rank)])));
  for (std::size_t i = 0; i < parts.size(); ++i) out.push_back({static_cast<int>(i) + 1, parts[i]});
  transport.exchange(out, {}, kDeal);
  return take(trace, tokens[0]);
}

}  // namespace gracemoe
