// A small MPI program for the lab's own tests. Prints where every rank runs; with a number of bytes
// as argument, rank 0 also sends that many to the last rank, five times, and the best payload rate
// in bits a second is printed.
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kRepeats = 5;

double send_once(std::vector<char>* payload, int rank, int last) {
  const int bytes = static_cast<int>(payload->size());
  char done = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  const double start = MPI_Wtime();
  if (rank == 0) {
    MPI_Send(payload->data(), bytes, MPI_CHAR, last, 0, MPI_COMM_WORLD);
    MPI_Recv(&done, 1, MPI_CHAR, last, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  } else if (rank == last) {
    MPI_Recv(payload->data(), bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    MPI_Send(&done, 1, MPI_CHAR, 0, 1, MPI_COMM_WORLD);
  }
  return MPI_Wtime() - start;
}

// The best of several: what other programs on the machine take can only slow a transfer down.
double best_rate(int bytes, int rank, int last) {
  std::vector<char> payload(static_cast<std::size_t>(bytes), 'x');
  double best = 0;
  for (int i = 0; i < kRepeats; ++i) {
    best = std::max(best, 8.0 * bytes / send_once(&payload, rank, last));
  }
  return best;
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
  if (argc > 1) {
    const double rate = best_rate(std::atoi(argv[1]), rank, ranks - 1);
    if (rank == 0) std::printf("payload_bits_per_s %.0f\n", rate);
  }
  MPI_Comm_free(&host_mates);
  MPI_Finalize();
  return 0;
}
