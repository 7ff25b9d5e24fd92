#include "doctor/examine.h"

#include <array>
#include <cstring>

#include "base/clock.h"
#include "exchange/exchange.h"
#include "exchange/link_timing.h"
#include "exchange/shared_memory.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

constexpr Phase kMeet{820, "meeting of all ranks"};
constexpr Phase kAsk{821, "comparison of clocks: question"};
constexpr Phase kAnswer{822, "comparison of clocks: answer"};
constexpr int kTrips = 10;

double real_time() {
  return clock_seconds(CLOCK_REALTIME);
}

ClockDifference ask(Transport& transport, int rank, const std::function<double()>& now) {
  ClockDifference best{0, 1e9};
  const std::byte byte{};
  for (int trip = 0; trip < kTrips; ++trip) {
    const double start = now();
    const OutgoingMessage question{rank, {&byte, 1}};
    transport.exchange({&question, 1}, {}, kAsk);
    const auto answer = transport.exchange({}, {&rank, 1}, kAnswer);
    const double end = now();
    double there = 0;
    std::memcpy(&there, answer.front().bytes.data(), sizeof there);
    if ((end - start) / 2 < best.error_s) best = {there - (start + end) / 2, (end - start) / 2};
  }
  return best;
}

void answer(Transport& transport, const std::function<double()>& now) {
  const int root = 0;
  for (int trip = 0; trip < kTrips; ++trip) {
    transport.exchange({}, {&root, 1}, kAsk);
    const std::array<double, 1> time{now()};
    const OutgoingMessage reply{root, std::as_bytes(std::span(time))};
    transport.exchange({&reply, 1}, {}, kAnswer);
  }
}

// As a run with the default --intra and --overlap would.
std::string sharing_trouble(const Topology& topology, Transport& transport) {
  std::string trouble;
  SharedMemory::make_where_possible(topology, transport, shared_bytes(Overlap::kAuto, topology),
                                    trouble);
  return trouble;
}

void gather_facts(const ExamineOptions& options, Transport& transport, Examination& result) {
  RankFacts mine = learn_facts(options.facts, result.topology, transport.rank(), options.host);
  mine.sharing_error = sharing_trouble(result.topology, transport);
  const std::string text = facts_text(mine);
  for (const Bytes& bytes : transport.gather(std::as_bytes(std::span(text)), 0))
    result.ranks.push_back(
        parse_facts({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

}  // namespace

void meet_everyone(Transport& transport) {
  const auto self = static_cast<std::size_t>(transport.rank());
  const std::byte byte{};
  for (const auto& opponent : round_robin(transport.size())) {
    const int other = opponent[self];
    if (other < 0) continue;
    const OutgoingMessage hello{other, {&byte, 1}};
    transport.exchange({&hello, 1}, {&other, 1}, kMeet);
  }
}

std::vector<ClockDifference> compare_clocks(Transport& transport,
                                            const std::function<double()>& now) {
  std::vector<ClockDifference> clocks;
  if (transport.rank() == 0) clocks.emplace_back();
  for (int rank = 1; rank < transport.size(); ++rank) {
    if (transport.rank() == 0) clocks.push_back(ask(transport, rank, now));
    if (transport.rank() == rank) answer(transport, now);
  }
  return clocks;
}

Examination examine(const ExamineOptions& options, const Topology& topology, Transport& transport) {
  const auto announce = [&](const std::string& doing) {
    if (options.announce && transport.rank() == 0) options.announce(doing);
  };
  Examination result;
  result.topology = topology;
  result.declared = options.declared;
  announce("every two ranks meet");
  meet_everyone(transport);
  announce("every rank looks around");
  gather_facts(options, transport, result);
  announce("clocks are compared");
  const auto clocks = compare_clocks(transport, real_time);
  for (std::size_t r = 0; r < clocks.size(); ++r) {
    result.ranks[r].clock_offset_s = clocks[r].offset_s;
    result.ranks[r].clock_error_s = clocks[r].error_s;
  }
  result.links.cluster = Cluster::uniform(topology);
  if (options.link_seconds > 0 && transport.size() > 1) {
    announce("links are measured");
    CalibrateOptions links;
    links.seconds = 2 * options.link_seconds;  // links get half of it
    links.clock = options.clock;
    calibrate_links(transport, links, result.links);
  }
  return result;
}

}  // namespace gracemoe
