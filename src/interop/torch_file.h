// A file of torch.save: a zip archive with a pickle, <stem>/data.pkl, and one entry of raw
// little-endian numbers per storage, <stem>/data/<key>. Dicts, lists, numbers, texts and plain
// tensors are read; anything else is refused (pickle.h).
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "interop/pickle.h"
#include "interop/stored_zip.h"

namespace gracemoe {

// Whole numbers of a tensor, row-major.
struct IntTensor {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> values;
};

class TorchDict;

class TorchFile {
 public:
  // Errors (kInput) name the file.
  explicit TorchFile(const std::filesystem::path& path);
  // Over bytes that outlive it.
  TorchFile(std::span<const std::byte> bytes, std::string name);

  const std::string& name() const { return name_; }
  // What was saved, which must be a dict.
  TorchDict root() const;

  // `what` names the value in messages. Errors (kInput): something else. A tensor must be dense in
  // whole numbers: its elements are no more than its storage has, so that a small file cannot stand
  // for a large tensor.
  TorchDict dict(const PyValue& value, const std::string& what) const;
  const std::vector<PyValue>& list(const PyValue& value, const std::string& what) const;
  std::int64_t integer(const PyValue& value, const std::string& what) const;
  IntTensor tensor(const PyValue& value, const std::string& what) const;

 private:
  friend class TorchDict;
  struct Storage;
  [[noreturn]] void wrong(const PyValue& value, const std::string& what,
                          const std::string& wanted) const;
  const std::vector<PyValue>* items_if(const PyValue& value, PyKind kind) const;
  void open(std::span<const std::byte> bytes);
  Storage storage(const PyValue& value, const std::string& what) const;
  std::vector<std::int64_t> sizes(const PyValue& value, const std::string& what) const;

  std::string name_;
  std::optional<MappedFile> file_;
  ZipEntries entries_;
  std::string stem_;
  std::optional<Pickle> pickle_;
};

// A dict with text keys, read like JsonObject. Lives as long as its file.
class TorchDict {
 public:
  TorchDict(const TorchFile& file, const std::vector<PyValue>& items, std::string what);
  const std::string& what() const { return what_; }
  std::string key_name(const std::string& key) const { return what_ + ": " + key; }
  bool has(std::string_view key) const;  // present and not None
  const PyValue& at(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  std::string text(const std::string& key) const;
  IntTensor tensor(const std::string& key) const;
  const std::vector<PyValue>& list(const std::string& key) const;
  // A list of whole numbers; nothing where the key is missing or None.
  std::optional<std::vector<std::int64_t>> integers(const std::string& key) const;

 private:
  const PyValue* find(std::string_view key) const;
  const TorchFile* file_;
  const std::vector<PyValue>* items_;
  std::string what_;
};

}  // namespace gracemoe
