// Run by mpirun: the cases of the exchange's tests over MPI, and what only MPI can show.
//   test_exchange_mpi cases TOPOLOGY     exchanges against their twins, collectives, long messages
//   test_exchange_mpi WAY                how a job ends: silent, deaf, out-of-step, kill, throw,
//                                        abort, and where it hangs: greetless, endless
// Prints "ok" from rank 0, or says what failed and ends the job with code 1.
#include <mpi.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "base/error.h"
#include "base/hash.h"
#include "exchange/exchange_case.h"

namespace gracemoe {
namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

Bytes pattern(int from, int to, std::size_t size) {
  Bytes bytes(size);
  std::uint64_t state =
      hash_combine(static_cast<std::uint64_t>(from) << 32U, static_cast<std::uint64_t>(to));
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 8 == 0) state = mix64(state + 1);
    bytes[i] = static_cast<std::byte>(state >> (8 * (i % 8)));
  }
  return bytes;
}

// Every rank to every other, of sizes around the frame's and far above.
void check_messages(Transport& transport, std::size_t frame) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, frame - 1, frame, frame + 1,
                                 5 * frame, 5 * frame + 17, 300 * frame}) {
    std::vector<Bytes> sent;
    std::vector<OutgoingMessage> out;
    std::vector<int> others;
    for (int rank = 0; rank < transport.size(); ++rank) {
      if (rank == transport.rank()) continue;
      others.push_back(rank);
      // Odd ranks get a byte more: sizes are not known from one's own.
      sent.push_back(pattern(transport.rank(), rank, size + static_cast<std::size_t>(rank % 2)));
    }
    for (std::size_t i = 0; i < others.size(); ++i) out.push_back({others[i], sent[i]});
    for (const IncomingMessage& in : transport.exchange(out, others, {5, "messages"})) {
      require(in.bytes == pattern(in.from, transport.rank(),
                                  size + static_cast<std::size_t>(transport.rank() % 2)),
              "message of " + std::to_string(size) + " bytes from rank " + std::to_string(in.from));
    }
  }
}

void check_collectives(Transport& transport) {
  const int n = transport.size();
  transport.barrier();
  std::vector<std::int64_t> whole{transport.rank(), 1};
  transport.sum(std::span(whole));
  require(whole == std::vector<std::int64_t>{n * (n - 1) / 2, n}, "sum of integers");
  std::vector<double> real{0.5 * transport.rank()};
  transport.max(std::span(real));
  require(real.front() == 0.5 * (n - 1), "maximum");
  transport.sum(std::span<double>());
  for (int root = 0; root < n; ++root) {
    const auto size = static_cast<std::size_t>(100000 * root + 3);
    const Bytes word = pattern(root, 0, size);
    require(transport.broadcast(transport.rank() == root ? word : Bytes{}, root) == word,
            "broadcast from rank " + std::to_string(root));
    const std::vector<Bytes> all = transport.gather(pattern(transport.rank(), root, size), root);
    require(all.size() == (transport.rank() == root ? static_cast<std::size_t>(n) : 0), "gather");
    for (int rank = 0; rank < static_cast<int>(all.size()); ++rank) {
      require(all[static_cast<std::size_t>(rank)] == pattern(rank, root, size), "gather's bytes");
    }
  }
}

void check_exchanges(const Topology& topology, Transport& transport) {
  for (const auto kind :
       {ExchangeKind::kFlatPerExpert, ExchangeKind::kFlatPerDevice, ExchangeKind::kHierarchical}) {
    for (const Reduction reduction : {Reduction::kExact, Reduction::kFp32, Reduction::kBf16}) {
      for (const Pattern its_pattern : kAllPatterns) {
        ExchangeCase c;
        c.topology = topology;
        c.options = {kind, reduction, Element::kBf16, 13, 2, 16};
        c.pattern = its_pattern;
        run_case(c, transport);
      }
      // Messages over 64 KiB, where MPI changes its protocol.
      ExchangeCase wide;
      wide.topology = topology;
      wide.options = {kind, reduction, Element::kFloat32, 1024, 1, 16};
      wide.tokens = 100;
      wide.steps = 1;
      wide.grid = true;
      run_case(wide, transport);
    }
  }
}

void check_overlaps(const Topology& topology, Transport& transport) {
  for (const Overlap overlap : {Overlap::kNone, Overlap::kStage, Overlap::kBatch}) {
    for (const Intra intra : {Intra::kMpi, Intra::kShared}) {
      for (const auto kind : {ExchangeKind::kFlatPerDevice, ExchangeKind::kHierarchical}) {
        ExchangeCase c;
        c.topology = topology;
        c.options = {kind, Reduction::kFp32, Element::kBf16, 13, 2, 16, overlap, intra};
        for (const Pattern its_pattern : kAllPatterns) {
          c.pattern = its_pattern;
          run_case(c, transport);
        }
        c.options.hidden = 1024;  // messages over 64 KiB, and longer than a frame
        c.pattern = Pattern::kRandom;
        c.tokens = 100;
        c.grid = true;
        run_case(c, transport);
      }
    }
  }
}

void run_cases(const std::string& declared) {
  const std::size_t frame = 4096;
  const auto session = MpiSession::start(
      MpiOptions{.declared = declared, .timeout_seconds = 60, .frame_bytes = frame});
  try {
    Transport& transport = session->transport();
    require(session->topology() == Topology::parse(declared), "topology");
    require(transport.size() == session->topology().devices(), "size");
    require(!session->library().empty() && !session->host().empty(), "names");
    check_messages(transport, frame);
    check_collectives(transport);
    check_exchanges(session->topology(), transport);
    check_overlaps(session->topology(), transport);
    if (transport.rank() == 0) {
      std::printf("ok: %s, %s on %s\n", declared.c_str(), session->library().c_str(),
                  session->host().c_str());
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", session->transport().rank(), e.what());
    session->abort(1);
  }
}

// Rank 1 does not do its part while the others wait for it.
void misbehave(const std::string& way, Transport& transport, MpiSession& session) {
  const bool odd_one = transport.rank() == 1;
  const int peer = odd_one ? 0 : 1;
  const Bytes large(std::size_t{8} << 20);
  if (way == "throw" && odd_one) throw std::runtime_error("thrown on purpose");
  if (way == "abort" && odd_one) session.abort(7);
  if (way == "kill" && odd_one) raise(SIGKILL);
  if (way == "deaf" && !odd_one) {
    const OutgoingMessage out{peer, large};
    transport.exchange({&out, 1}, {}, {7, "a message to a deaf rank"});
  }
  if ((way == "silent" || way == "deaf") && odd_one) sleep(60);
  const OutgoingMessage out{peer, {}};
  const Phase phase{way == "out-of-step" && odd_one ? 6 : 5, "a message from a silent rank", 3};
  transport.exchange({&out, 1}, {&peer, 1}, phase);
}

// Rank 1 starts MPI, but does not greet.
void run_without_greeting() {
  int provided = 0;
  if (std::string(std::getenv("OMPI_COMM_WORLD_RANK")) == "1") {
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    sleep(60);
  }
  MpiSession::start(MpiOptions{.timeout_seconds = 0.5});
}

// Rank 1 does not come to the end.
void run_without_end() {
  const auto session = MpiSession::start(MpiOptions{.timeout_seconds = 0.5});
  if (session->transport().rank() == 1) sleep(60);
}

void run_badly(const std::string& way) {
  if (way == "greetless") return run_without_greeting();
  if (way == "endless") return run_without_end();
  // Only where a rank stays alive does it take a timeout to find it out.
  const double timeout = way == "silent" || way == "deaf" ? 0.5 : 0;
  const auto session = MpiSession::start(MpiOptions{.timeout_seconds = timeout});
  if (way == "throw") return misbehave(way, session->transport(), *session);
  try {
    misbehave(way, session->transport(), *session);
  } catch (const Error& e) {
    std::fprintf(stderr, "rank %d: %s\n", session->transport().rank(), e.what());
    session->abort(e.exit_code());
  }
}

int run(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "cases" && argc == 3) {
    run_cases(argv[2]);
    return 0;
  }
  run_badly(what);
  return 0;
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  try {
    return gracemoe::run(argc, argv);
  } catch (const gracemoe::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
