#include "interop/stored_zip.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"

namespace gracemoe {
namespace {

static_assert(std::endian::native == std::endian::little, "zip's numbers are little-endian");

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kDirectorySignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kDirectorySize = 46;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kMaxComment = 65535;
constexpr std::uint32_t kIn64Bits = 0xffffffffU;  // the number stands in a zip64 record instead

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  ZipEntries read() {
    const std::size_t end = find_end();
    if (u16(end + 4) != 0 || u16(end + 6) != 0) bad("an archive over several disks", "one file");
    const std::size_t count = u16(end + 10);
    const std::uint32_t size = u32(end + 12);
    const std::uint32_t offset = u32(end + 16);
    if (count == 0xffff || size == kIn64Bits || offset == kIn64Bits) large();
    if (std::uint64_t{offset} + size > end) bad("a directory outside the file", "a whole archive");
    std::size_t at = offset;
    for (std::size_t i = 0; i < count; ++i) at = read_entry(at, std::size_t{offset} + size, offset);
    check_overlaps();
    return std::move(entries_);
  }

 private:
  [[noreturn]] void bad(const std::string& got, const std::string& wanted) const {
    fail_input({name_, got, wanted, "the file is damaged or not PyTorch's: write it again"});
  }
  [[noreturn]] void large() const {
    fail_input({name_, "an archive with 64-bit sizes (4 GiB and more, or over 65,534 entries)",
                "a smaller one", "record fewer steps a dump"});
  }
  template <typename T>
  T number(std::size_t at) const {
    T value;
    GM_CHECK(at + sizeof value <= bytes_.size(), "zip: a number outside the file");
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  std::uint16_t u16(std::size_t at) const { return number<std::uint16_t>(at); }
  std::uint32_t u32(std::size_t at) const { return number<std::uint32_t>(at); }
  std::string_view text(std::size_t at, std::size_t size) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, size};
  }

  // The end record, searched from the back, its comment reaching exactly to the file's end.
  std::size_t find_end() const {
    if (bytes_.size() < kEndSize) bad(std::to_string(bytes_.size()) + " bytes", "a zip archive");
    const std::size_t last = bytes_.size() - kEndSize;
    for (std::size_t back = 0; back <= std::min(last, kMaxComment); ++back)
      if (u32(last - back) == kEndSignature && u16(last - back + 20) == back) return last - back;
    bad("no end of a zip archive", "a whole zip archive");
  }

  // One record of the directory, which ends at `end`; returns where the next one starts. Data lies
  // before `data_end`.
  std::size_t read_entry(std::size_t at, std::size_t end, std::size_t data_end) {
    if (end - at < kDirectorySize || u32(at) != kDirectorySignature)
      bad("a damaged directory", "a whole archive");
    const std::size_t name_size = u16(at + 28);
    const std::size_t next = at + kDirectorySize + name_size + u16(at + 30) + u16(at + 32);
    if (next > end) bad("a damaged directory", "a whole archive");
    const std::string_view name = text(at + kDirectorySize, name_size);
    const std::string shown = "entry '" + std::string(name.substr(0, 80)) + "'";
    if ((u16(at + 8) & 1U) != 0) bad("the encrypted " + shown, "plain entries");
    const std::uint32_t size = u32(at + 24);
    const std::uint32_t offset = u32(at + 42);
    if (size == kIn64Bits || u32(at + 20) == kIn64Bits || offset == kIn64Bits) large();
    if (u16(at + 10) != 0 || u32(at + 20) != size)
      bad("the compressed " + shown, "stored entries, as PyTorch writes them");
    if (data_end < kLocalSize || offset > data_end - kLocalSize || u32(offset) != kLocalSignature)
      bad(shown + " at a wrong place", "a whole archive");
    const std::size_t begin = offset + kLocalSize + u16(offset + 26) + u16(offset + 28);
    if (begin + std::uint64_t{size} > data_end) bad(shown + " outside the file", "a whole archive");
    if (!entries_.emplace(name, bytes_.subspan(begin, size)).second)
      bad(shown + " twice", "each name once");
    return next;
  }

  void check_overlaps() const {
    std::vector<std::pair<std::size_t, std::size_t>> ranges;  // begin, end
    for (const auto& [name, data] : entries_) {
      const auto begin = static_cast<std::size_t>(data.data() - bytes_.data());
      if (!data.empty()) ranges.emplace_back(begin, begin + data.size());
    }
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i)
      if (ranges[i].first < ranges[i - 1].second)
        bad("entries that overlap", "each entry's data by itself");
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  ZipEntries entries_;
};

}  // namespace

ZipEntries read_stored_zip(std::span<const std::byte> bytes, const std::string& name) {
  return Reader(bytes, name).read();
}

}  // namespace gracemoe
