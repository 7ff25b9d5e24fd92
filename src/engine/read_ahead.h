// Has the files read ahead of the loader, so that the disk does not wait for the packing, nor the
// packing for the disk.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "model/checkpoint.h"
#include "model/shared_hashes.h"
#include "plan/plan.h"

namespace gracemoe {

struct FilePart {
  std::span<const std::byte> bytes;  // of a mapped file
  bool mine = true;  // false: another rank of this machine fetches it; it only counts
};

// What a device loads, about in the order in which it does. `hashes` says which of the tensors that
// all load are this rank's to fetch; null: all. Empty for weights that no file holds.
std::vector<FilePart> loading_order(const Checkpoint& checkpoint, const ModelConfig& config,
                                    const Plan& plan, int device, const SharedHashes* hashes);

class ReadAhead {
 public:
  // Starts fetching, on a thread of its own, at most `window` bytes ahead of what has been taken.
  ReadAhead(std::vector<FilePart> parts, std::size_t window);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  // So many more bytes are not needed any longer. Any thread.
  void taken(std::size_t bytes);

 private:
  void fetch();
  bool wait_for_room(std::size_t passed);

  const std::vector<FilePart> parts_;
  const std::size_t window_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::size_t taken_ = 0;
  bool stop_ = false;
  std::thread thread_;  // last: uses the others
};

}  // namespace gracemoe
