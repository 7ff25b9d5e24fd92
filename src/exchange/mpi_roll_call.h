// Who is alive: a rank that has waited long asks those it waits for, and ranks that wait themselves
// answer. So that the one that is blamed for a silence is the one that does not answer, not one
// that waits for it in turn. On a communicator of its own.
#pragma once
#include <mpi.h>

#include <vector>

namespace gracemoe {

class MpiRollCall {
 public:
  explicit MpiRollCall(MPI_Comm comm);  // collective; copies it
  MpiRollCall(const MpiRollCall&) = delete;
  MpiRollCall& operator=(const MpiRollCall&) = delete;
  ~MpiRollCall();
  // Asks these ranks; answers of before no longer count.
  void ask(const std::vector<int>& ranks);
  // Answers those that ask, takes note of answers. Never blocks.
  void serve();
  // Of the ranks asked last, those that have not answered.
  const std::vector<int>& missing() const { return missing_; }

 private:
  void send(int rank, int tag);

  MPI_Comm comm_ = MPI_COMM_NULL;
  int round_ = 0;
  std::vector<int> missing_;
};

}  // namespace gracemoe
