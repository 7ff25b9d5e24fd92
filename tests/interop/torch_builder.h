// Zip archives and pickles written by hand, sound or broken in one way.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace gracemoe {

template <typename T>
std::string bytes_of(T value) {
  std::string text(sizeof value, '\0');
  std::memcpy(text.data(), &value, sizeof value);
  return text;
}
template <typename T>
std::string bytes_of_list(const std::vector<T>& values) {
  std::string text;
  for (const T value : values) text += bytes_of(value);
  return text;
}

struct ZipParts {
  std::vector<std::pair<std::string, std::string>> entries;  // name, data
  std::uint16_t flags = 0, method = 0;
  std::uint32_t size_lie = 0;    // added to the sizes in the directory
  std::uint32_t offset_lie = 0;  // added to the entries' places
  std::uint32_t directory_lie = 0;
  std::size_t gap = 0;  // bytes between the last entry and the directory
};

inline std::string zip_of(const ZipParts& parts) {
  using U16 = std::uint16_t;
  using U32 = std::uint32_t;
  std::string file;
  std::string directory;
  for (const auto& [name, data] : parts.entries) {
    const auto size = static_cast<U32>(data.size()) + parts.size_lie;
    const std::string common = bytes_of<U16>(parts.flags) + bytes_of<U16>(parts.method) +
                               bytes_of<U32>(0) + bytes_of<U32>(0) + bytes_of(size) +
                               bytes_of(size) + bytes_of(static_cast<U16>(name.size())) +
                               bytes_of<U16>(0);
    directory += "PK\1\2" + bytes_of<U32>(0) + common + std::string(10, '\0') +
                 bytes_of(static_cast<U32>(file.size()) + parts.offset_lie) + name;
    file += "PK\3\4" + bytes_of<U16>(0) + common + name + data;
  }
  file.append(parts.gap, '\0');
  const auto count = static_cast<U16>(parts.entries.size());
  const auto place = static_cast<U32>(file.size()) + parts.directory_lie;
  file += directory;
  return file + "PK\5\6" + bytes_of<U32>(0) + bytes_of(count) + bytes_of(count) +
         bytes_of(static_cast<U32>(directory.size())) + bytes_of(place) + bytes_of<U16>(0);
}

inline std::string zip_of(std::vector<std::pair<std::string, std::string>> entries) {
  ZipParts parts;
  parts.entries = std::move(entries);
  return zip_of(parts);
}

inline std::span<const std::byte> view_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Pickle opcodes with their arguments.
inline std::string py_text(const std::string& text) {
  return "X" + bytes_of(static_cast<std::uint32_t>(text.size())) + text;
}
inline std::string py_int(std::int32_t value) {
  return "J" + bytes_of(value);
}
inline std::string py_tuple(const std::vector<std::string>& items) {
  std::string text = "(";
  for (const std::string& item : items) text += item;
  return text + "t";
}
inline std::string py_list(const std::vector<std::string>& items) {
  std::string text = "](";
  for (const std::string& item : items) text += item;
  return text + "e";
}
inline std::string py_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [key, value] : items) text += py_text(key) + value;
  return text + "u";
}
inline std::string py_ints(const std::vector<int>& values, bool tuple) {
  std::vector<std::string> items;
  items.reserve(values.size());
  for (const int value : values) items.push_back(py_int(value));
  return tuple ? py_tuple(items) : py_list(items);
}
inline std::string py_file(const std::string& value) {
  return std::string("\x80\x02", 2) + value + ".";
}

struct TensorParts {
  std::string type = "torch\nLongStorage\n";
  std::string key = "0";
  int elements = 0, offset = 0;
  std::vector<int> shape, strides;
};
inline std::string py_tensor(const TensorParts& t) {
  const std::string storage = py_tuple({py_text("storage"), "c" + t.type, py_text(t.key),
                                        py_text("cuda:0"), py_int(t.elements)}) +
                              "Q";
  return "ctorch._utils\n_rebuild_tensor_v2\n" +
         py_tuple({storage, py_int(t.offset), py_ints(t.shape, true), py_ints(t.strides, true),
                   "\x89", "ccollections\nOrderedDict\n)R"}) +
         "R";
}

}  // namespace gracemoe
