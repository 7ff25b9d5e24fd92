#include "exchange/mpi_roll_call.h"

#include <algorithm>
#include <string>

#include "exchange/mpi_transport.h"

namespace gracemoe {
namespace {

// A question has an even tag, its answer the next. 16 rounds are told apart: an answer to an older
// question is not one to this.
constexpr int kRounds = 16;

}  // namespace

MpiRollCall::MpiRollCall(MPI_Comm comm) {
  check_mpi(MPI_Comm_dup(comm, &comm_), "copying the communicator");
  check_mpi(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN), "setting the error handler");
}

MpiRollCall::~MpiRollCall() {
  MPI_Comm_free(&comm_);
}

// Without a byte: it needs no buffer and leaves at once.
void MpiRollCall::send(int rank, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Isend(nullptr, 0, MPI_BYTE, rank, tag, comm_, &request),
            "asking whether rank " + std::to_string(rank) + " is alive");
  check_mpi(MPI_Request_free(&request), "sending a question");
}

void MpiRollCall::ask(const std::vector<int>& ranks) {
  round_ = (round_ + 1) % kRounds;
  missing_ = ranks;
  for (const int rank : ranks) send(rank, 2 * round_);
}

void MpiRollCall::serve() {
  for (;;) {
    int flag = 0;
    MPI_Status status;
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &flag, &status),
              "looking for questions");
    if (flag == 0) return;
    const int from = status.MPI_SOURCE, tag = status.MPI_TAG;
    check_mpi(MPI_Recv(nullptr, 0, MPI_BYTE, from, tag, comm_, MPI_STATUS_IGNORE),
              "taking a question");
    if (tag % 2 == 0)
      send(from, tag + 1);
    else if (tag == 2 * round_ + 1)
      std::erase(missing_, from);
  }
}

}  // namespace gracemoe
