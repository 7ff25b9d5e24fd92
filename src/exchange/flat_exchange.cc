// One all-to-all among all devices, out and back. Messages: D - 1 from each device in each phase.
#include <numeric>

#include "exchange/exchange_base.h"

namespace gracemoe {
namespace {

constexpr Phase kDispatch{1, "dispatch"};
constexpr Phase kCombine{2, "combine", -1, 1};

class FlatExchange final : public ExchangeBase {
 public:
  FlatExchange(const ExchangeOptions& options, const Topology& topology, Transport& transport)
      : ExchangeBase(options, topology, transport),
        copies_(options.kind == ExchangeKind::kFlatPerExpert ? Copies::kPerEntry
                                                             : Copies::kPerRank),
        next_hop_(static_cast<std::size_t>(transport.size())) {
    std::iota(next_hop_.begin(), next_hop_.end(), 0);
    for (const int rank : next_hop_) {
      if (rank != transport.rank()) others_.push_back(rank);
    }
  }

 protected:
  std::vector<Share> send_out(const RowSet& home) override {
    std::vector<Share> shares = outbox_.add(home, next_hop_, copies_);
    arrivals_ = courier_.trade_rows(outbox_, others_, others_, {kDispatch});
    return shares;
  }

  void bring_back() override { trade_outputs(others_, kCombine); }

 private:
  Copies copies_;
  std::vector<int> next_hop_;  // [devices] each its own
  std::vector<int> others_;
};

}  // namespace

std::unique_ptr<Exchange> make_flat_exchange(const ExchangeOptions& options,
                                             const Topology& topology, Transport& transport) {
  return std::make_unique<FlatExchange>(options, topology, transport);
}

}  // namespace gracemoe
