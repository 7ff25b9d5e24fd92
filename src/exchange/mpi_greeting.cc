#include "exchange/mpi_greeting.h"

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "exchange/mpi_transport.h"

namespace gracemoe {
namespace {

constexpr int kTag = 1;
// Long against a message's time inside a machine, short against starting up.
constexpr auto kNap = std::chrono::microseconds(100);

}  // namespace

std::vector<int> greet(MPI_Comm comm, const std::vector<int>& ranks, double timeout_seconds) {
  const std::size_t count = ranks.size();
  std::vector<MPI_Request> requests(2 * count, MPI_REQUEST_NULL);  // receives, then sends
  for (std::size_t i = 0; i < count; ++i) {
    check_mpi(MPI_Irecv(nullptr, 0, MPI_BYTE, ranks[i], kTag, comm, &requests[i]), "greeting");
    check_mpi(MPI_Isend(nullptr, 0, MPI_BYTE, ranks[i], kTag, comm, &requests[count + i]),
              "greeting");
  }
  std::vector<int> done(2 * count);
  const double start = wall_seconds();
  for (;;) {
    int finished = 0;
    check_mpi(MPI_Testsome(static_cast<int>(2 * count), requests.data(), &finished, done.data(),
                           MPI_STATUSES_IGNORE),
              "greeting");
    if (finished == MPI_UNDEFINED) return {};
    if (timeout_seconds > 0 && wall_seconds() - start > timeout_seconds) break;
    if (finished == 0) std::this_thread::sleep_for(kNap);
  }
  std::vector<int> missing;
  for (std::size_t i = 0; i < count; ++i)
    if (requests[i] != MPI_REQUEST_NULL || requests[count + i] != MPI_REQUEST_NULL)
      missing.push_back(ranks[i]);
  return missing;
}

}  // namespace gracemoe
