// Small safetensors files for the tests of traces and statistics, sound or broken in one way.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/safetensors.h"

namespace gracemoe {

using Metadata = std::map<std::string, std::string>;

struct RawTensor {
  DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

template <typename T>
RawTensor raw(DType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

inline void write_raw(const std::filesystem::path& path,
                      const std::map<std::string, RawTensor>& tensors, const Metadata& metadata) {
  std::map<std::string, TensorView> views;
  for (const auto& [name, tensor] : tensors)
    views[name] = {tensor.dtype, tensor.shape, tensor.bytes};
  write_safetensors(path, views, metadata);
}

}  // namespace gracemoe
