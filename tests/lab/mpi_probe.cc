// A small MPI program for the lab's own tests. Prints where every rank runs; with a number of bytes
// as argument, rank 0 also sends that many to the last rank, five times, and the best payload rate
// in bits a second is printed. With a number of devices a node after it, for lab/run --rails, all
// devices of the first node send at once, each to the same one of the last node, and printed are
// their best rate together, and the best from rank 0 to the last device of its own node.
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kRepeats = 5;

// Seconds until the last of all ranks is done. MPI_PROC_NULL: sends to, or hears from, nobody.
double send_once(std::vector<char>* payload, int to, int from) {
  const int bytes = static_cast<int>(payload->size());
  char done = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  MPI_Send(payload->data(), bytes, MPI_CHAR, to, 0, MPI_COMM_WORLD);
  MPI_Recv(payload->data(), bytes, MPI_CHAR, from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  MPI_Send(&done, 1, MPI_CHAR, from, 1, MPI_COMM_WORLD);
  MPI_Recv(&done, 1, MPI_CHAR, to, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  double seconds = MPI_Wtime() - start;
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
  return seconds;
}

// Of ranks 0 to senders-1 together, each sending to the rank `distance` after it. The best of
// several: what other programs on the machine take can only slow a transfer down.
double best_rate(int bytes, int rank, int senders, int distance) {
  std::vector<char> payload(static_cast<std::size_t>(bytes), 'x');
  const int to = rank < senders ? rank + distance : MPI_PROC_NULL;
  const int from = rank >= distance && rank < distance + senders ? rank - distance : MPI_PROC_NULL;
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    best = std::max(best, 8.0 * bytes * senders / send_once(&payload, to, from));
  }
  return best;
}

void print_rate(const char* name, double rate, int rank) {
  if (rank == 0) std::printf("%s %.0f\n", name, rate);
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  MPI_Comm host_mates = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host_mates);
  int mates = 0;
  MPI_Comm_size(host_mates, &mates);
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  std::printf("rank %d of %d on %s with %d\n", rank, ranks, host, mates);
  const int bytes = argc > 1 ? std::atoi(argv[1]) : 0;
  if (argc == 2) print_rate("payload_bits_per_s", best_rate(bytes, rank, 1, ranks - 1), rank);
  if (argc == 3) {
    const int devices = std::atoi(argv[2]);
    print_rate("rails_bits_per_s", best_rate(bytes, rank, devices, ranks - devices), rank);
    print_rate("inside_bits_per_s", best_rate(bytes, rank, 1, devices - 1), rank);
  }
  MPI_Comm_free(&host_mates);
  MPI_Finalize();
  return 0;
}
