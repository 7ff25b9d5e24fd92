#include "exchange/exchange_base.h"

#include "base/clock.h"
#include "base/error.h"
#include "exchange/expert_work.h"

namespace gracemoe {

ExchangeBase::ExchangeBase(const ExchangeOptions& options, const Topology& topology,
                           Transport& transport)
    : courier_(options, topology, transport),
      outbox_(transport.size(), transport.rank(), courier_.rule()),
      replies_(Replies::none(options, courier_.rule(), transport.size(), transport.rank())) {
  work_.hidden = options.hidden;
  work_.element = options.element;
}

const ExpertWork& ExchangeBase::dispatch(int layer, const TokenRoutes& routes,
                                         std::span<const std::byte> rows) {
  const double start = wall_seconds();
  GM_CHECK(!dispatched_, "dispatch again before combine");
  GM_CHECK(layer >= 0 && layer < courier_.options().layers, "dispatch: layer out of range");
  set_home_rows(routes, courier_.topology().devices(), rows, replies_.row_bytes(), home_);
  for (const std::uint16_t expert : home_.expert) {
    GM_CHECK(expert < courier_.options().experts, "dispatch: expert out of range");
  }
  courier_.begin_step(layer);
  outbox_.clear();
  arrivals_.clear();
  home_shares_ = send_out(home_);
  build_local_work(rows);
  LayerCounters& counted = courier_.counted();
  counted.tokens += routes.tokens;
  counted.entries += work_.entries();
  counted.dispatch_seconds += wall_seconds() - start;
  dispatched_ = true;
  return work_;
}

void ExchangeBase::build_local_work(std::span<const std::byte> rows) {
  std::vector<const RowSet*> sets{&outbox_.rows_to(courier_.self())};
  for (const Arrival& arrival : arrivals_) sets.push_back(&arrival.set);
  place_ = build_work(sets, rows, work_);
  replies_.place = place_;
}

std::span<std::byte> ExchangeBase::output_memory() {
  outputs_.resize(static_cast<std::size_t>(work_.entries()) * replies_.row_bytes());
  return outputs_;
}

void ExchangeBase::combine(std::span<const std::byte> outputs, std::span<float> out) {
  const double start = wall_seconds();
  GM_CHECK(dispatched_, "combine without dispatch");
  GM_CHECK(outputs.size() == replies_.place.size() * replies_.row_bytes(),
           "combine: outputs are not [entries, hidden]");
  dispatched_ = false;
  replies_.outputs = outputs.data();
  bring_back();
  sum_rows(home_, home_shares_, replies_, out);
  courier_.counted().combine_seconds += wall_seconds() - start;
}

void ExchangeBase::begin(int lane, int layer, const TokenRoutes& routes,
                         std::span<const std::byte> rows) {
  GM_CHECK(lane == 0, "this exchange has one lane");
  dispatch(layer, routes, rows);
  output_memory();
  given_out_ = work_.entries() == 0;
}

Ready ExchangeBase::next(int, WorkPart& part) {
  if (given_out_) return Ready::kNone;
  given_out_ = true;
  part = {0,
          0,
          work_.row_data,
          work_.row_at,
          work_.experts,
          work_.offsets,
          work_.row_of,
          outputs_.data()};
  return Ready::kPart;
}

void ExchangeBase::done(const WorkPart&) {}

void ExchangeBase::finish(int, std::span<float> out) {
  GM_CHECK(given_out_, "finish before all work was taken");
  combine(outputs_, out);
}

void ExchangeBase::trade_outputs(std::span<const int> peers, Phase phase) {
  std::int32_t entry = outbox_.rows_to(courier_.self()).entries();
  std::vector<Share> shares;
  for (const Arrival& arrival : arrivals_) {
    shares.clear();
    for (int e = 0; e < arrival.set.entries(); ++e) {
      shares.push_back({courier_.self(), entry++, Share::Kind::kRow});
    }
    courier_.prepare_reply(arrival.from, arrival.set, shares, replies_, phase);
  }
  courier_.trade_replies(peers, peers, outbox_, phase, replies_);
}

}  // namespace gracemoe
