#include "base/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"

namespace gracemoe {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

struct DTypeInfo {
  DType dtype;
  const char* name;
  std::size_t size;
};
constexpr std::array<DTypeInfo, 13> kDTypes{{{DType::kBool, "BOOL", 1},
                                             {DType::kU8, "U8", 1},
                                             {DType::kI8, "I8", 1},
                                             {DType::kU16, "U16", 2},
                                             {DType::kI16, "I16", 2},
                                             {DType::kF16, "F16", 2},
                                             {DType::kBF16, "BF16", 2},
                                             {DType::kU32, "U32", 4},
                                             {DType::kI32, "I32", 4},
                                             {DType::kF32, "F32", 4},
                                             {DType::kU64, "U64", 8},
                                             {DType::kI64, "I64", 8},
                                             {DType::kF64, "F64", 8}}};

const DTypeInfo& info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

// The limit that the format's own library sets: a longer header is damage or an attack.
constexpr std::uint64_t kMaxHeader = 100'000'000;

[[noreturn]] void bad(const std::string& what, const std::string& got, const std::string& wanted) {
  fail_input({.what = what,
              .got = got,
              .wanted = wanted,
              .action = "the file is damaged or not safetensors: fetch it again"});
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + (shape[i] < 0 ? "any" : std::to_string(shape[i]));
  }
  return text + "]";
}

std::string bytes_text(std::uint64_t bytes) {
  return with_commas(static_cast<std::int64_t>(bytes)) + " bytes";
}

struct Entry {
  std::string name;
  TensorView view;
  std::uint64_t begin = 0, end = 0;  // within the data part
};

DType read_dtype(const JsonObject& json) {
  const std::string name = json.text("dtype");
  std::string known;
  for (const DTypeInfo& candidate : kDTypes) {
    if (name == candidate.name) return candidate.dtype;
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  if (name.starts_with("F8") || name.starts_with("F6") || name.starts_with("F4")) {
    fail_input(
        {.what = json.key_name("dtype"),
         .got = "'" + name + "', a quantised type",
         .wanted = "one of " + known,
         .action = "gracemoe reads no quantised checkpoints: take the model's bf16 weights"});
  }
  fail_input({.what = json.key_name("dtype"),
              .got = "'" + name + "'",
              .wanted = "one of " + known,
              .action = "convert the file to a type listed here"});
}

std::uint64_t whole_number(const Json& value, const std::string& what) {
  const bool ok = value.is_number_unsigned() && value.get<std::uint64_t>() <= (1ULL << 62U);
  if (!ok) bad(what, show_json(value), "whole numbers");
  return value.get<std::uint64_t>();
}

Entry read_entry(const std::string& name, const Json& json, const std::string& file) {
  const JsonObject object(json, file + ": tensor '" + name + "'");
  Entry entry{.name = name, .view = {}};
  entry.view.dtype = read_dtype(object);
  std::uint64_t size = dtype_size(entry.view.dtype);
  bool fits = true;
  for (const Json& extent : object.array("shape")) {
    const std::uint64_t n = whole_number(extent, object.key_name("shape"));
    entry.view.shape.push_back(static_cast<std::int64_t>(n));
    fits = fits && !__builtin_mul_overflow(size, n, &size);
  }
  const Json& offsets = object.array("data_offsets");
  if (offsets.size() != 2) {
    bad(object.key_name("data_offsets"), std::to_string(offsets.size()) + " numbers", "two");
  }
  entry.begin = whole_number(offsets[0], object.key_name("data_offsets"));
  entry.end = whole_number(offsets[1], object.key_name("data_offsets"));
  if (entry.begin > entry.end || !fits || entry.end - entry.begin != size) {
    bad(object.key_name("data_offsets"),
        "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]",
        fits ? bytes_text(size) + " for " + dtype_name(entry.view.dtype) + " " +
                   shape_text(entry.view.shape)
             : "a shape whose size fits 64 bits, not " + shape_text(entry.view.shape));
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& json, const std::string& file) {
  const JsonObject object(json, file + ": __metadata__");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.items()) metadata[key] = object.text(key);
  return metadata;
}

void check_places(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t needed = 0;
  for (const Entry& entry : entries) needed = std::max(needed, entry.end);
  if (needed > data_size) {
    fail_input(
        {.what = file + ": truncated",
         .got = bytes_text(data_size) + " of tensor data",
         .wanted = bytes_text(needed) + ", " + bytes_text(needed - data_size) + " are missing",
         .action = "fetch the file again"});
  }
  for (std::size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].begin >= entries[i - 1].end) continue;
    bad(file + ": tensor '" + entries[i].name + "'",
        "data that overlaps tensor '" + entries[i - 1].name + "'", "data of its own");
  }
}

// The bytes of the JSON header, after checking that its length is possible.
std::string_view header_of(std::span<const std::byte> bytes, const std::string& file) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof length) {
    bad(file, bytes_text(bytes.size()), "at least 8 bytes (the length of a header)");
  }
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > kMaxHeader) {
    bad(file + ": header length", std::to_string(length), "at most " + std::to_string(kMaxHeader));
  }
  const std::uint64_t there = bytes.size() - sizeof length;
  if (length > there) {
    bad(file + ": truncated in its header", bytes_text(there),
        bytes_text(length) + ", " + bytes_text(length - there) + " are missing");
  }
  return {reinterpret_cast<const char*>(bytes.data()) + sizeof length, length};
}

}  // namespace

std::size_t dtype_size(DType dtype) {
  return info(dtype).size;
}
const char* dtype_name(DType dtype) {
  return info(dtype).name;
}

std::int64_t TensorView::elements() const {
  std::int64_t n = 1;
  for (const std::int64_t extent : shape) n *= extent;
  return n;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const std::string file = path.string();
  const std::string_view header = header_of(file_.bytes(), file);
  const Json json = parse_json(std::string(header), file + ": header");
  if (!json.is_object()) bad(file + ": header", "no JSON object", "a JSON object of tensors");
  std::vector<Entry> entries;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      metadata_ = read_metadata(value, file);
    } else {
      entries.push_back(read_entry(name, value, file));
    }
  }
  const auto data = file_.bytes().subspan(sizeof(std::uint64_t) + header.size());
  check_places(entries, data.size(), file);
  for (Entry& entry : entries) {
    entry.view.bytes = data.subspan(entry.begin, entry.end - entry.begin);
    tensors_.emplace(std::move(entry.name), std::move(entry.view));
  }
}

const TensorView& SafetensorsFile::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    fail_input({.what = path_.string() + ": tensor '" + name + "'",
                .got = "no such tensor",
                .wanted = "one of this name",
                .action = "check that the file is what this command reads"});
  }
  return found->second;
}

const TensorView& SafetensorsFile::tensor(const std::string& name, DType dtype,
                                          const std::vector<std::int64_t>& shape) const {
  return tensor(name, {dtype}, shape);
}

const TensorView& SafetensorsFile::tensor(const std::string& name,
                                          std::initializer_list<DType> dtypes,
                                          const std::vector<std::int64_t>& shape) const {
  const TensorView& view = tensor(name);
  const bool same_shape =
      std::equal(shape.begin(), shape.end(), view.shape.begin(), view.shape.end(),
                 [](auto want, auto have) { return want == -1 || want == have; });
  if (std::find(dtypes.begin(), dtypes.end(), view.dtype) == dtypes.end() || !same_shape) {
    std::string wanted;
    for (const DType& dtype : dtypes)
      wanted += (&dtype == dtypes.begin()     ? ""
                 : &dtype + 1 == dtypes.end() ? " or "
                                              : ", ") +
                std::string(dtype_name(dtype));
    fail_input({.what = path_.string() + ": tensor '" + name + "'",
                .got = std::string(dtype_name(view.dtype)) + " " + shape_text(view.shape),
                .wanted = wanted + " " + shape_text(shape),
                .action = "check that config.json and the weights belong together"});
  }
  return view;
}

const std::string& SafetensorsFile::meta(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) {
    fail_input({.what = path_.string() + ": metadata '" + key + "'",
                .got = "nothing",
                .wanted = "a value",
                .action = "check that the file is what this command reads"});
  }
  return found->second;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::pair<const std::string*, const TensorView*>> order;
  for (const auto& [name, view] : tensors) {
    GM_CHECK(
        static_cast<std::size_t>(view.elements()) * dtype_size(view.dtype) == view.bytes.size(),
        "a tensor's bytes must be its shape's");
    order.emplace_back(&name, &view);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return dtype_size(a.second->dtype) > dtype_size(b.second->dtype);
  });
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const auto& [name, view] : order) {
    header[*name] = {{"dtype", dtype_name(view->dtype)},
                     {"shape", view->shape},
                     {"data_offsets", {offset, offset + view->bytes.size()}}};
    offset += view->bytes.size();
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  write_file(path, [&](std::ostream& out) {
    const std::uint64_t length = text.size();
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    for (const auto& [name, view] : order) {
      out.write(reinterpret_cast<const char*>(view->bytes.data()),
                static_cast<std::streamsize>(view->bytes.size()));
    }
  });
}

}  // namespace gracemoe
