// Hierarchical sparse communication (method.md section 5). Out, between nodes: a row goes once to
// each node that hosts chosen instances, to this device's peer there (Topology::peer_on), the
// row's gateway. Out, inside a node: gateways hand rows on and homes send their own, in one message
// a pair of devices. Back: inside the node to gateway or home, merged a device; then from the
// gateway, merged a node, to home.
// Messages of each device, in each direction: one to every peer (N - 1 where all nodes have the
// same number of devices) and one to every other device of its node.
#include "exchange/exchange_base.h"

namespace gracemoe {
namespace {

constexpr Phase kDispatchCross{11, "dispatch between nodes"};
constexpr Phase kDispatchIntra{12, "dispatch inside the node", -1, 1};
constexpr Phase kCombineIntra{13, "combine inside the node", -1, 2};
constexpr Phase kCombineCross{14, "combine between nodes", -1, 3};

class HierarchicalExchange final : public ExchangeBase {
 public:
  HierarchicalExchange(const ExchangeOptions& options, const Topology& topology,
                       Transport& transport);

 protected:
  std::vector<Share> send_out(const RowSet& home) override;
  void bring_back() override;

 private:
  std::vector<int> next_hop_;     // [devices] itself inside the node, the gateway elsewhere
  std::vector<int> gateways_;     // on other nodes, that take rows from here
  std::vector<int> clients_;      // on other nodes, that this device is the gateway of
  std::vector<int> neighbours_;   // other devices of the node
  std::vector<Arrival> transit_;  // rows of the clients
  std::vector<std::vector<Share>> transit_shares_;  // [clients] of their entries
};

HierarchicalExchange::HierarchicalExchange(const ExchangeOptions& options, const Topology& topology,
                                           Transport& transport)
    : ExchangeBase(options, topology, transport) {
  const int self = transport.rank();
  const int node = topology.node_of(self);
  for (int device = 0; device < topology.devices(); ++device) {
    const bool here = topology.node_of(device) == node;
    next_hop_.push_back(here ? device : topology.peer_on(self, topology.node_of(device)));
    if (here && device != self) neighbours_.push_back(device);
    if (!here && topology.peer_on(device, node) == self) clients_.push_back(device);
  }
  for (int other = 0; other < topology.nodes(); ++other) {
    if (other != node) gateways_.push_back(topology.peer_on(self, other));
  }
}

std::vector<Share> HierarchicalExchange::send_out(const RowSet& home) {
  std::vector<Share> shares = outbox_.add(home, next_hop_, Copies::kPerRank);
  transit_ = courier_.trade_rows(outbox_, gateways_, clients_, {kDispatchCross, true});
  transit_shares_.clear();
  for (const Arrival& arrival : transit_) {
    transit_shares_.push_back(outbox_.add(arrival.set, next_hop_, Copies::kPerRank));
  }
  arrivals_ = courier_.trade_rows(outbox_, neighbours_, neighbours_, {kDispatchIntra});
  return shares;
}

void HierarchicalExchange::bring_back() {
  trade_outputs(neighbours_, kCombineIntra);
  for (std::size_t i = 0; i < transit_.size(); ++i) {
    courier_.prepare_reply(transit_[i].from, transit_[i].set, transit_shares_[i], replies_,
                           kCombineCross);
  }
  courier_.trade_replies(clients_, gateways_, outbox_, kCombineCross, replies_);
}

}  // namespace

std::unique_ptr<Exchange> make_hierarchical_exchange(const ExchangeOptions& options,
                                                     const Topology& topology,
                                                     Transport& transport) {
  return std::make_unique<HierarchicalExchange>(options, topology, transport);
}

}  // namespace gracemoe
