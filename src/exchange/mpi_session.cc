#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <string_view>

#include "base/error.h"
#include "exchange/mpi_greeting.h"
#include "exchange/mpi_transport.h"
#include "exchange/watchdog.h"

namespace gracemoe {
namespace {

// Where this process is among all of MPI_COMM_WORLD.
struct Place {
  int world_rank = 0;
  int rank = 0;                       // node by node
  std::vector<int> devices_per_node;  // of the shared-memory domains
};

// A shared-memory domain is known by the lowest world rank in it; nodes are ordered by that, and
// the ranks of a node by their world ranks.
Place find_place() {
  Place place;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &place.world_rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place.world_rank, MPI_INFO_NULL, &host);
  int leader = place.world_rank;
  MPI_Bcast(&leader, 1, MPI_INT, 0, host);
  MPI_Comm_free(&host);
  std::vector<int> leaders(static_cast<std::size_t>(size));
  MPI_Allgather(&leader, 1, MPI_INT, leaders.data(), 1, MPI_INT, MPI_COMM_WORLD);
  for (int rank = 0; rank < size; ++rank) {
    const int its = leaders[static_cast<std::size_t>(rank)];
    place.rank += its < leader || (its == leader && rank < place.world_rank) ? 1 : 0;
    if (its == rank) {
      place.devices_per_node.push_back(
          static_cast<int>(std::count(leaders.begin(), leaders.end(), rank)));
    }
  }
  return place;
}

// Ranks that run on this kernel: also those of other containers or emulated hosts, which MPI takes
// for other nodes, share its cores.
int ranks_on_machine() {
  std::array<char, 64> id{};
  if (std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "r"); file != nullptr) {
    if (std::fread(id.data(), 1, id.size(), file) == 0) id.fill('\0');
    std::fclose(file);
  }
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<std::array<char, 64>> ids(static_cast<std::size_t>(size));
  const int length = static_cast<int>(id.size());
  MPI_Allgather(id.data(), length, MPI_CHAR, ids.data(), length, MPI_CHAR, MPI_COMM_WORLD);
  return static_cast<int>(std::count(ids.begin(), ids.end(), id));
}

Topology choose_topology(const std::string& declared, const Place& place) {
  if (declared.empty()) return Topology::of(place.devices_per_node);
  Topology topology = Topology::parse(declared);
  const int ranks =
      std::accumulate(place.devices_per_node.begin(), place.devices_per_node.end(), 0);
  if (topology.devices() != ranks) {
    fail_usage({"topology", declared + " = " + std::to_string(topology.devices()) + " devices",
                "one a rank, and there are " + std::to_string(ranks),
                "start as many ranks as the topology has devices"});
  }
  return topology;
}

// "Open MPI v4.1.4, package: ..." and "MPICH Version:\t4.0.2\n..." to name and number.
std::string library_name() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  std::string name(text.data(), static_cast<std::size_t>(length));
  name = name.substr(0, name.find_first_of(",\n"));
  std::replace(name.begin(), name.end(), '\t', ' ');
  constexpr std::string_view kNoise = "Version: ";
  if (const auto at = name.find(kNoise); at != std::string::npos) name.erase(at, kNoise.size());
  return name;
}

std::string host_name() {
  std::array<char, MPI_MAX_PROCESSOR_NAME> text{};
  int length = 0;
  MPI_Get_processor_name(text.data(), &length);
  return {text.data(), static_cast<std::size_t>(length)};
}

// Over TCP, Open MPI sends what is longer than 64 KB only after a handshake, for which both sides
// must be inside MPI: whoever computes meanwhile leaves the link idle. Up to a frame is handed to
// the kernel at once instead. A setting of the user's (mpirun --mca, environment) is left alone.
void send_frames_without_handshake(std::size_t frame_bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 20, kHeader = 4096;
  const std::array<const char*, 2> limits{"OMPI_MCA_btl_tcp_eager_limit",
                                          "OMPI_MCA_btl_tcp_max_send_size"};
  if (std::any_of(limits.begin(), limits.end(),
                  [](const char* name) { return std::getenv(name) != nullptr; }))
    return;
  const std::string bytes = std::to_string(std::min(frame_bytes, kMost) + kHeader);
  for (const char* name : limits) setenv(name, bytes.c_str(), 0);
}

// Of each step of starting up and ending. Processes of one job start seconds apart on busy
// machines, however short the waits between them may be.
double start_seconds(const MpiOptions& options) {
  constexpr double kLeast = 5;
  return options.timeout_seconds > 0 ? std::max(kLeast, options.timeout_seconds) : 0;
}

// Rank 0 meets all others, or all meet all, by messages that can be given up, before the first
// collective: so a rank that is cut off is named.
void meet(const MpiOptions& options) {
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  std::vector<int> others;
  for (int other = 0; other < size; ++other)
    if (other != rank && (options.all_meet || rank == 0 || other == 0)) others.push_back(other);
  const std::vector<int> missing = greet(MPI_COMM_WORLD, others, start_seconds(options));
  if (missing.empty()) return;
  std::string names;
  for (const int other : missing) names += (names.empty() ? "" : ", ") + std::to_string(other);
  const std::string here = Watchdog::missing_here();
  std::fprintf(stderr,
               "gracemoe: rank %d (%s): start-up: no greeting from rank%s %s for %g seconds%s%s; "
               "look whether it is stopped or its host cut off: firewalls must let MPI's ports "
               "through, and mpirun --mca btl_tcp_if_include NET names the network\n",
               rank, host_name().c_str(), missing.size() == 1 ? "" : "s", names.c_str(),
               start_seconds(options), here.empty() ? "" : ": ", here.c_str());
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::_Exit(1);
}

void finalize(Watchdog& watchdog) {
  watchdog.watch("end of the job: MPI_Finalize");
  MPI_Finalize();
  watchdog.rest();
}

class Session final : public MpiSession {
 public:
  Session(const MpiOptions& options, std::unique_ptr<Watchdog> watchdog, const Place& place,
          Topology topology)
      : watchdog_(std::move(watchdog)),
        topology_(std::move(topology)),
        comm_(numbered(place)),
        library_(library_name()),
        host_(host_name()),
        transport_(std::make_unique<MpiTransport>(
            comm_, options.frame_bytes,
            MpiWaitOptions{options.timeout_seconds,
                           ranks_on_machine() > static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN))})) {
    watchdog_->rest();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // MPI_Finalize waits for all ranks: with an exception on its way they would wait for ever.
  ~Session() override {
    if (std::uncaught_exceptions() > exceptions_) {
      std::fprintf(stderr, "rank %d (%s): an error ends the job\n", transport_->rank(),
                   host_.c_str());
      abort(1);
    }
    watchdog_->watch("end of the job: giving back communicators");
    transport_.reset();  // it holds one
    MPI_Comm_free(&comm_);
    finalize(*watchdog_);
  }

  Transport& transport() override { return *transport_; }
  const Topology& topology() const override { return topology_; }
  std::string library() const override { return library_; }
  std::string host() const override { return host_; }
  [[noreturn]] void abort(int exit_code) override {
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  static MPI_Comm numbered(const Place& place) {
    MPI_Comm comm = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, 0, place.rank, &comm);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    return comm;
  }

  int exceptions_ = std::uncaught_exceptions();
  std::unique_ptr<Watchdog> watchdog_;
  Topology topology_;
  MPI_Comm comm_;
  std::string library_;
  std::string host_;
  std::unique_ptr<MpiTransport> transport_;
};

}  // namespace

std::unique_ptr<MpiSession> MpiSession::start(const MpiOptions& options) {
  GM_CHECK(options.frame_bytes >= 1 && options.frame_bytes <= INT_MAX, "frame_bytes");
  int initialised = 0;
  MPI_Initialized(&initialised);
  GM_CHECK(initialised == 0, "a process has one MPI session");
  send_frames_without_handshake(options.frame_bytes);
  auto watchdog = std::make_unique<Watchdog>(start_seconds(options));
  watchdog->watch("start-up: MPI_Init");
  // One thread calls MPI at a time, but it need not be the same.
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  watchdog->rest();
  meet(options);
  watchdog->watch("start-up: learning which ranks share a node", 2);
  const Place place = find_place();
  Topology topology;
  try {
    topology = choose_topology(options.declared, place);
  } catch (const Error&) {
    finalize(*watchdog);  // it goes wrong on every rank alike, so that all come here
    throw;
  }
  return std::make_unique<Session>(options, std::move(watchdog), place, std::move(topology));
}

}  // namespace gracemoe
