// The safetensors format: 8-byte little-endian header length, JSON header, raw tensor data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"

namespace gracemoe {

enum class DType { kBool, kU8, kI8, kU16, kI16, kF16, kBF16, kU32, kI32, kF32, kU64, kI64, kF64 };
std::size_t dtype_size(DType dtype);  // bytes an element
const char* dtype_name(DType dtype);  // "BF16", as in the file

// A view of one tensor's bytes, row-major; lives as long as the file it came from.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
  std::int64_t elements() const;
  // The data as T; GM_CHECKs the element size and the alignment.
  template <typename T>
  std::span<const T> as() const {
    GM_CHECK(sizeof(T) == dtype_size(dtype), "tensor viewed as a type of another size");
    GM_CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(T) == 0,
             "tensor data is not aligned");
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// A memory-mapped safetensors file. The constructor reads the header only and checks it completely:
// header length, JSON, known dtypes, offsets in range, without overlap, sizes equal to shape x
// dtype, file long enough. Errors (kInput) name the file and, where there is one, the tensor; a
// truncated file says how many bytes are missing.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  // Errors (kInput): no such tensor; not of this dtype or shape (a dimension of -1 in `shape`
  // matches any).
  const TensorView& tensor(const std::string& name) const;
  const TensorView& tensor(const std::string& name, DType dtype,
                           const std::vector<std::int64_t>& shape) const;
  // Any of these dtypes.
  const TensorView& tensor(const std::string& name, std::initializer_list<DType> dtypes,
                           const std::vector<std::int64_t>& shape) const;
  // The metadata value; Error (kInput) names the key where it is missing.
  const std::string& meta(const std::string& key) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes a safetensors file through base/files (temporary name, then rename). Tensors lie without
// gaps (other readers refuse gaps), those of the largest elements first and then by name, so that
// each starts at a multiple of its element's size. Errors: kOutput; a view whose size is not its
// shape's is a broken contract.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace gracemoe
