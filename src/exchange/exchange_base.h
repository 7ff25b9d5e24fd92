// What all exchanges share: the checks at entry, the work of this device, the sum at home. A kind
// of exchange supplies the two ways, out and back.
#pragma once
#include <span>
#include <vector>

#include "exchange/courier.h"
#include "exchange/exchange.h"

namespace gracemoe {

class ExchangeBase : public Exchange {
 public:
  ExchangeBase(const ExchangeOptions& options, const Topology& topology, Transport& transport);
  const ExpertWork& dispatch(int layer, const TokenRoutes& routes,
                             std::span<const std::byte> rows) final;
  std::span<std::byte> output_memory() final;
  void combine(std::span<const std::byte> outputs, std::span<float> out) final;
  // One lane, and nothing happens beside it: begin() is dispatch(), finish() is combine().
  void begin(int lane, int layer, const TokenRoutes& routes, std::span<const std::byte> rows) final;
  Ready next(int lane, WorkPart& part) final;
  void done(const WorkPart& part) final;
  void finish(int lane, std::span<float> out) final;
  const ExchangeCounters& counters() const final { return courier_.counters(); }
  void reset_counters() final { courier_.reset_counters(); }

 protected:
  // Sends the rows on their way. Leaves the rows to compute here in outbox_.rows_to(self) and
  // arrivals_; returns the shares of home's entries.
  virtual std::vector<Share> send_out(const RowSet& home) = 0;
  // Fills replies_ for every rank named in the shares that send_out() returned.
  virtual void bring_back() = 0;

  // Sends the results of arrivals_ to the `peers` that they came from, and takes their replies.
  void trade_outputs(std::span<const int> peers, Phase phase);

  Courier courier_;
  Outbox outbox_;
  std::vector<Arrival> arrivals_;
  Replies replies_;

 private:
  void build_local_work(std::span<const std::byte> rows);

  bool dispatched_ = false;
  RowSet home_;
  std::vector<Share> home_shares_;
  ExpertWork work_;
  std::vector<std::int32_t> place_;  // [entries] of each its place among the outputs
  Bytes outputs_;
  bool given_out_ = false;
};

std::unique_ptr<Exchange> make_flat_exchange(const ExchangeOptions& options,
                                             const Topology& topology, Transport& transport);
std::unique_ptr<Exchange> make_hierarchical_exchange(const ExchangeOptions& options,
                                                     const Topology& topology,
                                                     Transport& transport);
// Any kind, with what the two above lack: lanes, work while rows are under way, shared memory.
std::unique_ptr<Exchange> make_overlapped_exchange(const ExchangeOptions& options,
                                                   const Topology& topology, Transport& transport);
// `inner`, made with the same options, over tokens that were evened out before (Even).
std::unique_ptr<Exchange> make_evened_exchange(const ExchangeOptions& options,
                                               const Topology& topology, Transport& transport,
                                               std::unique_ptr<Exchange> inner);

}  // namespace gracemoe
