// Any exchange, over tokens that the devices of a node have evened out before (evening.h): a device
// with more rows for other nodes than others of its node hands tokens over - rows, routes and all -
// to those, which pass them through the exchange as their own and return the sums. Other nodes do
// not know: what a device sends is not known to them in advance anyway.
#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "exchange/clerk.h"
#include "exchange/evening.h"
#include "exchange/exchange_base.h"

namespace gracemoe {
namespace {

// Those of the exchanges lie below.
constexpr Phase kCounts{17, "rows for other nodes, counted inside the node"};
constexpr Phase kTokens{18, "tokens handed over inside the node", -1, 1};
constexpr Phase kSums{19, "sums of tokens that were handed over", -1, 4};

// Appends values to an array of a lane's own.
template <typename T>
void append(std::vector<T>& to, std::span<const T> values) {
  to.insert(to.end(), values.begin(), values.end());
}
template <typename T>
const std::byte* take(const std::byte* at, std::size_t count, std::vector<T>& to) {
  const std::size_t before = to.size();
  to.resize(before + count);
  if (count > 0) std::memcpy(to.data() + before, at, count * sizeof(T));
  return at + count * sizeof(T);
}
template <typename T>
std::byte* put(std::byte* at, T value) {
  std::memcpy(at, &value, sizeof(T));
  return at + sizeof(T);
}

class EvenedExchange final : public Exchange {
 public:
  EvenedExchange(const ExchangeOptions& options, const Topology& topology, Transport& transport,
                 std::unique_ptr<Exchange> inner)
      : options_(options), topology_(topology), transport_(transport), inner_(std::move(inner)) {
    own_.layers.resize(static_cast<std::size_t>(options.layers));
    const Clerk clerk(options, topology, transport.rank(), own_);
    for (int lane = 0; lane < inner_->lanes(); ++lane)
      lanes_.emplace_back(clerk, lane * kTagsOfALane);
    first_ = topology.first_device(topology.node_of(transport.rank()));
    devices_ = topology.devices_on(topology.node_of(transport.rank()));
  }

  const ExpertWork& dispatch(int layer, const TokenRoutes& routes,
                             std::span<const std::byte> rows) override {
    Lane& its = even(0, layer, routes, rows);
    return its.evened ? inner_->dispatch(layer, its.routes(routes.top_k), its.rows)
                      : inner_->dispatch(layer, routes, rows);
  }
  std::span<std::byte> output_memory() override { return inner_->output_memory(); }
  void combine(std::span<const std::byte> outputs, std::span<float> out) override {
    Lane& its = lanes_[0];
    if (!its.evened) return inner_->combine(outputs, out);
    inner_->combine(outputs, its.room_for_sums(options_.hidden));
    hand_back(its, out);
  }

  int lanes() const override { return inner_->lanes(); }
  void begin(int lane, int layer, const TokenRoutes& routes,
             std::span<const std::byte> rows) override {
    Lane& its = even(lane, layer, routes, rows);
    if (its.evened)
      inner_->begin(lane, layer, its.routes(routes.top_k), its.rows);
    else
      inner_->begin(lane, layer, routes, rows);
  }
  Ready next(int lane, WorkPart& part) override { return inner_->next(lane, part); }
  void done(const WorkPart& part) override { inner_->done(part); }
  void finish(int lane, std::span<float> out) override {
    Lane& its = at(lane);
    if (!its.evened) return inner_->finish(lane, out);
    inner_->finish(lane, its.room_for_sums(options_.hidden));
    hand_back(its, out);
  }
  void progress() override { inner_->progress(); }
  void wait() override { inner_->wait(); }
  std::string intra_trouble() const override { return inner_->intra_trouble(); }

  const ExchangeCounters& counters() const override {
    all_ = inner_->counters();
    for (std::size_t layer = 0; layer < all_.layers.size(); ++layer)
      all_.layers[layer] += own_.layers[layer];
    return all_;
  }
  void reset_counters() override {
    inner_->reset_counters();
    own_.layers.assign(own_.layers.size(), {});
  }

 private:
  // Tokens that went to a rank, or came from one.
  struct Handed {
    int rank;
    std::vector<int> tokens;  // that went: which of the caller's
    int count = 0;
    Inbound in{};  // of tokens that went: their sums
  };
  struct Lane {
    Lane(const Clerk& its_clerk, int its_tags) : clerk(its_clerk), tags(its_tags) {}
    Clerk clerk;
    int tags;
    bool evened = false;  // tokens came or went
    std::vector<Handed> given, taken;
    std::vector<int> kept;  // of the caller's tokens
    // What passes through the inner exchange: tokens kept, then those taken.
    std::vector<std::uint16_t> expert;
    std::vector<float> weight;
    std::vector<std::int32_t> device;
    std::vector<float> grid;
    Bytes rows;
    std::vector<float> sums;  // [tokens, hidden]
    std::vector<std::unique_ptr<Sent>> sent;

    TokenRoutes routes(int top_k) const {
      return {static_cast<int>(grid.size()), top_k, expert, weight, device, grid};
    }
    std::span<float> room_for_sums(int hidden) {
      sums.resize(grid.size() * static_cast<std::size_t>(hidden));
      return sums;
    }
  };

  Lane& at(int lane) {
    GM_CHECK(lane >= 0 && lane < lanes(), "no such lane");
    return lanes_[static_cast<std::size_t>(lane)];
  }
  int self() const { return transport_.rank(); }
  std::size_t hidden() const { return static_cast<std::size_t>(options_.hidden); }
  std::size_t row_bytes() const { return hidden() * element_size(options_.element); }
  static Phase phase(const Lane& its, Phase phase) {
    phase.tag += its.tags;
    return phase;
  }
  // Of a token on its way: grid, weights, experts, devices, row.
  std::size_t token_bytes(std::size_t top_k) const {
    return sizeof(float) + top_k * (sizeof(float) + sizeof(std::uint16_t) + sizeof(std::uint16_t)) +
           row_bytes();
  }

  Lane& even(int lane, int layer, const TokenRoutes& routes, std::span<const std::byte> rows) {
    Lane& its = at(lane);
    GM_CHECK(layer >= 0 && layer < options_.layers, "dispatch: layer out of range");
    its.clerk.begin_step(layer);
    its.given.clear();
    its.taken.clear();
    its.evened = false;
    if (devices_ == 1 || (options_.even == Even::kAuto && !routes.uneven)) return its;
    const double start = wall_seconds();
    check_routes(routes, rows);
    hand_over(its, routes, rows);
    its.evened = !its.given.empty() || !its.taken.empty();
    its.clerk.counted().dispatch_seconds += wall_seconds() - start;
    return its;
  }

  // What hand_over() relies on; the inner exchange checks the rest.
  void check_routes(const TokenRoutes& routes, std::span<const std::byte> rows) const {
    GM_CHECK(routes.tokens >= 0 && routes.top_k >= 0, "dispatch: tokens or top_k below 0");
    const auto tokens = static_cast<std::size_t>(routes.tokens);
    const std::size_t entries = tokens * static_cast<std::size_t>(routes.top_k);
    GM_CHECK(routes.expert.size() == entries && routes.weight.size() == entries &&
                 routes.device.size() == entries,
             "dispatch: routes are not [tokens, top_k]");
    GM_CHECK(rows.size() == tokens * row_bytes(), "dispatch: rows are not [tokens, hidden]");
    GM_CHECK(routes.grid.empty() || routes.grid.size() == tokens, "dispatch: grid is not [tokens]");
    for (const std::int32_t device : routes.device)
      GM_CHECK(device >= 0 && device < topology_.devices(), "dispatch: device out of range");
  }

  void hand_over(Lane& its, const TokenRoutes& routes, std::span<const std::byte> rows) {
    const std::vector<int> crossing = crossing_rows(routes, options_.kind, topology_, self());
    const std::vector<Handover> handovers =
        even_out(count_together(its, std::accumulate(crossing.begin(), crossing.end(), 0)));
    std::vector<bool> gone(crossing.size());
    for (const Handover& handover : handovers) {
      if (handover.from + first_ == self()) {
        its.given.push_back({handover.to + first_, tokens_to_give(crossing, handover.rows, gone)});
        its.given.back().count = static_cast<int>(its.given.back().tokens.size());
        send_tokens(its, its.given.back(), routes, rows);
      } else if (handover.to + first_ == self()) {
        its.taken.push_back({handover.from + first_, {}});
      }
    }
    if (its.given.empty() && its.taken.empty()) return settle(its);
    keep(its, routes, rows, gone);
    receive_tokens(its, static_cast<std::size_t>(routes.top_k));
    // A plain exchange wants the transport to itself.
    if (options_.overlap == Overlap::kNone) settle(its);
  }

  // [devices of the node] rows that each has for other nodes.
  std::vector<std::int64_t> count_together(Lane& its, int mine) {
    const Phase counts = phase(its, kCounts);
    std::vector<Inbound> in(static_cast<std::size_t>(devices_ - 1));
    std::size_t next = 0;
    for (int device = first_; device < first_ + devices_; ++device) {
      if (device == self()) continue;
      in[next].from = device;
      in[next].phase = its.clerk.stamp(counts).phase;
      transport_.begin_receive(in[next++]);
      auto message = std::make_unique<Sent>();
      put(begin_reply(its.clerk.stamp(counts), self(), 1, sizeof(std::uint32_t), message->bytes),
          static_cast<std::uint32_t>(mine));
      its.clerk.count_rows(device, {}, 0, message->bytes.size());
      send(its, device, counts, std::move(message));
    }
    std::vector<std::int64_t> all(static_cast<std::size_t>(devices_), mine);
    for (const Inbound& message : in) {
      wait_for(message);
      std::uint32_t rows = 0;
      std::memcpy(&rows,
                  decode_reply(message.bytes, its.clerk.stamp(counts), message.from, 1,
                               sizeof(std::uint32_t)),
                  sizeof(rows));
      all[static_cast<std::size_t>(message.from - first_)] = rows;
    }
    return all;
  }

  void send_tokens(Lane& its, const Handed& handed, const TokenRoutes& routes,
                   std::span<const std::byte> rows) {
    const auto k = static_cast<std::size_t>(routes.top_k);
    auto message = std::make_unique<Sent>();
    std::byte* to = begin_reply(its.clerk.stamp(phase(its, kTokens)), self(), handed.count,
                                token_bytes(k), message->bytes);
    const auto each = [&](auto values, std::size_t width, auto stored) {
      for (const int token : handed.tokens)
        for (const auto& value : values.subspan(static_cast<std::size_t>(token) * width, width))
          to = put(to, static_cast<decltype(stored)>(value));
    };
    if (routes.grid.empty())
      to = std::fill_n(to, handed.tokens.size() * sizeof(float), std::byte{0});
    else
      each(routes.grid, 1, float{});
    each(routes.weight, k, float{});
    each(routes.expert, k, std::uint16_t{});
    each(routes.device, k, std::uint16_t{});
    for (const int token : handed.tokens) {
      std::memcpy(to, rows.data() + static_cast<std::size_t>(token) * row_bytes(), row_bytes());
      to += row_bytes();
    }
    const std::size_t payload = handed.tokens.size() * row_bytes();
    its.clerk.count_rows(handed.rank, {}, payload, message->bytes.size());
    its.clerk.counted().intra_row_copies += handed.count;
    its.clerk.counted().rows_handed_over += handed.count;
    send(its, handed.rank, phase(its, kTokens), std::move(message));
  }

  // The tokens that stay.
  void keep(Lane& its, const TokenRoutes& routes, std::span<const std::byte> rows,
            const std::vector<bool>& gone) {
    const auto k = static_cast<std::size_t>(routes.top_k);
    its.kept.clear();
    its.expert.clear();
    its.weight.clear();
    its.device.clear();
    its.grid.clear();
    its.rows.clear();
    for (std::size_t t = 0; t < gone.size(); ++t) {
      if (gone[t]) continue;
      its.kept.push_back(static_cast<int>(t));
      append(its.expert, routes.expert.subspan(t * k, k));
      append(its.weight, routes.weight.subspan(t * k, k));
      append(its.device, routes.device.subspan(t * k, k));
      its.grid.push_back(routes.grid.empty() ? 0.0F : routes.grid[t]);
      append(its.rows, rows.subspan(t * row_bytes(), row_bytes()));
    }
    // Tokens that are home elsewhere are counted there.
    its.clerk.counted().tokens += routes.tokens - std::ssize(its.kept);
  }

  void receive_tokens(Lane& its, std::size_t k) {
    std::vector<Inbound> in(its.taken.size());
    for (std::size_t i = 0; i < in.size(); ++i) {
      in[i].from = its.taken[i].rank;
      in[i].phase = its.clerk.stamp(phase(its, kTokens)).phase;
      transport_.begin_receive(in[i]);
    }
    for (std::size_t i = 0; i < in.size(); ++i) {
      wait_for(in[i]);
      its.taken[i].count = take_tokens(its, in[i], k);
      its.clerk.counted().tokens -= its.taken[i].count;
    }
  }

  int take_tokens(Lane& its, const Inbound& message, std::size_t k) {
    const Stamp stamp = its.clerk.stamp(phase(its, kTokens));
    const std::size_t behind =
        message.bytes.size() - std::min(message.bytes.size(), sizeof(WireHeader));
    const std::size_t count = behind / token_bytes(k);
    const std::byte* from =
        decode_reply(message.bytes, stamp, message.from, static_cast<int>(count), token_bytes(k));
    const std::size_t first = its.expert.size();
    std::vector<std::uint16_t> devices;
    from = take(from, count, its.grid);
    from = take(from, count * k, its.weight);
    from = take(from, count * k, its.expert);
    from = take(from, count * k, devices);
    take(from, count * row_bytes(), its.rows);
    for (std::size_t e = 0; e < devices.size(); ++e) {
      if (its.expert[first + e] >= options_.experts)
        fail_message(stamp, message.from, "expert id", std::to_string(its.expert[first + e]),
                     "less than " + std::to_string(options_.experts));
      if (devices[e] >= topology_.devices())
        fail_message(stamp, message.from, "device", std::to_string(devices[e]),
                     "less than " + std::to_string(topology_.devices()));
      its.device.push_back(devices[e]);
    }
    return static_cast<int>(count);
  }

  // Sums of the tokens that came go back; those of the tokens that went are awaited.
  void hand_back(Lane& its, std::span<float> out) {
    const double start = wall_seconds();
    GM_CHECK(out.size() == (its.kept.size() + given(its)) * hidden(),
             "combine: out is not [tokens, hidden]");
    for (Handed& handed : its.given) {
      handed.in = {handed.rank, its.clerk.stamp(phase(its, kSums)).phase, {}, false};
      transport_.begin_receive(handed.in);
    }
    const float* sums = its.sums.data();
    for (const int token : its.kept) {
      std::memcpy(&out[static_cast<std::size_t>(token) * hidden()], sums, hidden() * sizeof(float));
      sums += hidden();
    }
    for (const Handed& handed : its.taken) {
      auto message = std::make_unique<Sent>();
      const std::size_t payload = static_cast<std::size_t>(handed.count) * hidden() * sizeof(float);
      std::byte* to = begin_reply(its.clerk.stamp(phase(its, kSums)), self(), handed.count,
                                  hidden() * sizeof(float), message->bytes);
      if (payload > 0) std::memcpy(to, sums, payload);
      sums += static_cast<std::size_t>(handed.count) * hidden();
      its.clerk.count_reply(handed.rank, payload, message->bytes.size());
      send(its, handed.rank, phase(its, kSums), std::move(message));
    }
    for (const Handed& handed : its.given) {
      wait_for(handed.in);
      const std::byte* from = decode_reply(handed.in.bytes, its.clerk.stamp(phase(its, kSums)),
                                           handed.rank, handed.count, hidden() * sizeof(float));
      for (const int token : handed.tokens) {
        std::memcpy(&out[static_cast<std::size_t>(token) * hidden()], from,
                    hidden() * sizeof(float));
        from += hidden() * sizeof(float);
      }
    }
    settle(its);
    its.clerk.counted().combine_seconds += wall_seconds() - start;
  }

  static std::size_t given(const Lane& its) {
    std::size_t tokens = 0;
    for (const Handed& handed : its.given) tokens += handed.tokens.size();
    return tokens;
  }

  void send(Lane& its, int to, Phase phase, std::unique_ptr<Sent> message) {
    message->out = {to, its.clerk.stamp(phase).phase, message->bytes};
    transport_.begin_send(message->out);
    its.sent.push_back(std::move(message));
  }

  // What is under way of other lanes moves on meanwhile: others may wait for it.
  template <typename Message>
  void wait_for(const Message& message) {
    while (!message.done) {
      inner_->progress();
      if (!message.done) transport_.wait();
    }
  }
  void settle(Lane& its) {
    for (const auto& message : its.sent) wait_for(message->out);
    its.sent.clear();
  }

  ExchangeOptions options_;
  const Topology& topology_;
  Transport& transport_;
  std::unique_ptr<Exchange> inner_;
  int first_ = 0, devices_ = 1;  // of this node
  std::vector<Lane> lanes_;
  ExchangeCounters own_;          // what passes beside the inner exchange
  mutable ExchangeCounters all_;  // of both
};

}  // namespace

std::unique_ptr<Exchange> make_evened_exchange(const ExchangeOptions& options,
                                               const Topology& topology, Transport& transport,
                                               std::unique_ptr<Exchange> inner) {
  return std::make_unique<EvenedExchange>(options, topology, transport, std::move(inner));
}

}  // namespace gracemoe
