// The first messages of a job, which can be given up: a collective would wait for ever for a rank
// that is cut off.
#pragma once
#include <mpi.h>

#include <vector>

namespace gracemoe {

// Swaps an empty message with each of these ranks of `comm`, all at once; they must do the same.
// Returns those with whom that was not done after so many seconds (0: waits for ever). After that
// nothing but the end of the job is left to do.
std::vector<int> greet(MPI_Comm comm, const std::vector<int>& ranks, double timeout_seconds);

}  // namespace gracemoe
