#include "trace/metadata.h"

#include <algorithm>
#include <charconv>

namespace gracemoe {
namespace {

int meta_count(const SafetensorsFile& file, const std::string& key, int max) {
  const std::string& text = file.meta(key);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > max)
    fail_input({file.path().string() + ": metadata " + key, "'" + text + "'",
                "an integer from 1 to " + std::to_string(max), ""});
  return value;
}

void expect_meta(const SafetensorsFile& file, const std::string& key, const std::string& wanted,
                 const std::string& action) {
  const std::string got = meta_or_empty(file, key);
  if (got != wanted)
    fail_input({file.path().string() + ": metadata " + key,
                got.empty() ? "nothing" : "'" + got + "'", "'" + wanted + "'", action});
}

}  // namespace

std::string meta_or_empty(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::string() : found->second;
}

TraceShape read_trace_shape(const SafetensorsFile& file, const std::string& format) {
  expect_meta(file, "format", format, "this is another kind of safetensors file");
  expect_meta(file, "version", "1", "it was written by another version of the format");
  TraceShape shape;
  shape.num_experts = meta_count(file, "num_experts", kMaxExperts);
  shape.top_k = meta_count(file, "top_k", std::min(shape.num_experts, kMaxTopK));
  shape.layers = meta_count(file, "num_layers", kMaxLayers);
  return shape;
}

}  // namespace gracemoe
