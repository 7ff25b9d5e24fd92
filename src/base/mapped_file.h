// A file mapped read-only into memory; pages are read when touched. Owns the mapping; movable.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace gracemoe {

class MappedFile {
 public:
  // Errors (kInput): the file is missing, unreadable or not a regular file. An empty file maps to
  // an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // About a part of a mapped file, which stays readable in any case: brings it into memory, as fast
  // as the file is read in order; or its whole pages are not needed in this process' memory any
  // more. Never for other memory.
  static void fetch(std::span<const std::byte> part);
  static void release(std::span<const std::byte> part);

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace gracemoe
