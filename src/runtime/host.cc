#include "runtime/host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/hash.h"
#include "base/progress.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

// What every rank tells, at every rank, by rank.
template <typename T>
std::vector<T> all_gather(Transport& transport, const T& mine) {
  std::vector<T> all;
  for (const auto& part : gather_vectors(transport, std::vector<T>{mine}, 0))
    all.insert(all.end(), part.begin(), part.end());
  const Bytes bytes = transport.broadcast(std::as_bytes(std::span(all)), 0);
  all.resize(bytes.size() / sizeof(T));
  std::copy_n(bytes.begin(), bytes.size(), reinterpret_cast<std::byte*>(all.data()));
  return all;
}

// The running kernel's own number, which no two machines share.
std::uint64_t machine_hash() {
  std::string id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), id);
  if (id.empty()) id = "rank of unknown machine " + std::to_string(getpid());
  return hash_bytes(std::as_bytes(std::span(id)));
}

std::string gigabytes(std::int64_t bytes) {
  return human_bytes(static_cast<double>(bytes));
}

struct Need {
  std::int64_t dense, experts, cache, buffers, available;
  std::int32_t leader, rank;
};

}  // namespace

HostRanks host_ranks(Transport& transport) {
  const std::vector<std::uint64_t> hosts = all_gather(transport, machine_hash());
  const std::uint64_t mine = hosts[static_cast<std::size_t>(transport.rank())];
  HostRanks host{0, 0, -1};
  for (int rank = 0; rank < transport.size(); ++rank) {
    if (hosts[static_cast<std::size_t>(rank)] != mine) continue;
    if (host.leader < 0) host.leader = rank;
    if (rank == transport.rank()) host.member = host.members;
    ++host.members;
  }
  return host;
}

std::shared_ptr<HostMemory> share_memory(Transport& transport, const HostRanks& host) {
  struct Card {
    std::int64_t process, descriptor;
  };
  const bool leads = host.members > 1 && host.member == 0;
  int descriptor = leads ? memfd_create("gracemoe weights", MFD_CLOEXEC) : -1;
  const auto cards = all_gather(transport, Card{getpid(), descriptor});
  const Card& leader = cards[static_cast<std::size_t>(host.leader)];
  if (!leads && host.members > 1 && leader.descriptor >= 0) {
    const std::string path =
        "/proc/" + std::to_string(leader.process) + "/fd/" + std::to_string(leader.descriptor);
    descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  }
  struct Outcome {
    std::int32_t leader, failed;
  };
  bool failed = descriptor < 0;
  for (const Outcome& other : all_gather(transport, Outcome{host.leader, descriptor < 0 ? 1 : 0}))
    failed = failed || (other.leader == host.leader && other.failed != 0);
  if (!failed) return std::make_shared<HostMemory>(descriptor, host.member, host.members);
  if (descriptor >= 0) close(descriptor);
  return nullptr;
}

std::uint64_t host_sum(Transport& transport, const HostRanks& host, std::uint64_t mine) {
  struct Part {
    std::uint64_t value;
    std::int32_t leader;
  };
  std::uint64_t sum = 0;
  for (const Part& part : all_gather(transport, Part{mine, host.leader}))
    if (part.leader == host.leader) sum += part.value;
  return sum;
}

void require_memory(Transport& transport, const HostRanks& host, const Footprint& need,
                    bool dense_once, std::int64_t available) {
  Need sum{0, 0, 0, 0, available, host.leader, 0};
  for (const Need& other :
       all_gather(transport, Need{need.dense, need.experts, need.cache, need.buffers, available,
                                  host.leader, transport.rank()})) {
    if (other.leader != host.leader) continue;
    sum.dense = dense_once ? other.dense : sum.dense + other.dense;
    sum.experts += other.experts;
    sum.cache += other.cache;
    sum.buffers += other.buffers;
    sum.available = std::min(sum.available, other.available);
  }
  const std::int64_t total = sum.dense + sum.experts + sum.cache + sum.buffers;
  together(transport, [&] {
    if (sum.available <= 0 || total <= sum.available) return;
    fail_input(
        {"memory of a machine with " + std::to_string(host.members) +
             (host.members == 1 ? " rank" : " ranks"),
         gigabytes(sum.available),
         gigabytes(total) + " (experts " + gigabytes(sum.experts) + ", other weights " +
             gigabytes(sum.dense) + ", caches " + gigabytes(sum.cache) + ", buffers " +
             gigabytes(sum.buffers) + ")",
         "spread the model over more machines, use a plan with fewer copies, shorter answers or "
         "fewer --max-sequences, or free memory; --memory-gb sets another limit"});
  });
}

}  // namespace gracemoe
