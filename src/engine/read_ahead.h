// Has the files read ahead of the loader, so that the disk does not wait for the packing, nor the
// packing for the disk. What nobody packs is hashed as it comes.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "model/checkpoint.h"
#include "model/shared_hashes.h"
#include "plan/plan.h"

namespace gracemoe {

// Matrices are packed, but for this one, of which a step reads its tokens' rows.
inline constexpr const char* kEmbedding = "model.embed_tokens.weight";

struct FilePart {
  std::span<const std::byte> bytes;  // of a mapped file
  bool mine = true;       // false: another rank of this machine fetches it; it only counts
  std::string kept = {};  // its tensor's name, if it is used as it lies in the file; else empty
};

// What a device loads, about in the order in which it does. `hashes` says which of the tensors that
// all load are this rank's to fetch; null: all. Empty for weights that no file holds.
std::vector<FilePart> loading_order(const Checkpoint& checkpoint, const ModelConfig& config,
                                    const Plan& plan, int device, const SharedHashes* hashes);

class ReadAhead {
 public:
  // Starts fetching, on a thread of its own, at most `window` bytes ahead of what has been taken,
  // and to the end of the tensor it is in, whose pages stay until all of it is packed. That thread
  // takes what is kept, for `hashes` (null: none) too, and lets go of its pages as it goes.
  ReadAhead(std::vector<FilePart> parts, std::size_t window, std::shared_ptr<SharedHashes> hashes);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  // So many more bytes are not needed any longer. Any thread.
  void taken(std::size_t bytes);
  // Nothing more will be taken: fetches what there is room for, and ends the thread.
  void finish();

 private:
  void fetch();
  bool fetch(const FilePart& part);  // false: it shall stop
  bool wait_for_room(std::size_t passed);
  bool stopped();
  void end(bool at_once);

  const std::vector<FilePart> parts_;
  const std::size_t window_;
  const std::shared_ptr<SharedHashes> hashes_;
  std::mutex guard_;
  std::condition_variable changed_;
  std::size_t taken_ = 0;
  bool stop_ = false;   // at once
  bool last_ = false;   // rather than wait
  std::thread thread_;  // last: uses the others
};

}  // namespace gracemoe
