#include "exchange/wire.h"

#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"

namespace gracemoe {
namespace {

static_assert(std::endian::native == std::endian::little, "messages are little-endian");

constexpr std::size_t kAlign = 4;
constexpr std::size_t kPlace = sizeof(std::uint64_t);
constexpr float kNotNeeded = std::numeric_limits<float>::quiet_NaN();

void check_field(const Stamp& stamp, int sender, const char* what, std::uint64_t got,
                 std::uint64_t wanted) {
  if (got != wanted) fail_message(stamp, sender, what, std::to_string(got), std::to_string(wanted));
}

// Copies values to `at`; returns the byte behind them.
template <typename T>
std::byte* put(std::byte* at, const T* values, std::size_t count) {
  if (count > 0) std::memcpy(at, values, count * sizeof(T));
  return at + count * sizeof(T);
}

WireHeader make_header(const Stamp& stamp, int sender) {
  WireHeader header{};
  header.magic = kWireMagic;
  header.config = stamp.config;
  header.step = stamp.step;
  header.layer = static_cast<std::uint16_t>(stamp.phase.layer);
  header.phase = static_cast<std::uint16_t>(stamp.phase.tag);
  header.sender = static_cast<std::uint16_t>(sender);
  header.origin = static_cast<std::uint16_t>(stamp.origin < 0 ? sender : stamp.origin);
  return header;
}

WireHeader read_header(std::span<const std::byte> bytes, const Stamp& stamp, int sender) {
  if (bytes.size() < sizeof(WireHeader)) {
    fail_message(stamp, sender, "bytes", std::to_string(bytes.size()), "a header of 32");
  }
  WireHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  const WireHeader wanted = make_header(stamp, sender);
  check_field(stamp, sender, "magic", header.magic, wanted.magic);
  check_field(stamp, sender, "hash of options and topology", header.config, wanted.config);
  check_field(stamp, sender, "step", header.step, wanted.step);
  check_field(stamp, sender, "layer", header.layer, wanted.layer);
  check_field(stamp, sender, "phase", header.phase, wanted.phase);
  check_field(stamp, sender, "sender", header.sender, wanted.sender);
  check_field(stamp, sender, "origin", header.origin, wanted.origin);
  return header;
}

// Where the parts of a row message start; 64-bit arithmetic over 32-bit counts cannot overflow.
struct Layout {
  std::uint64_t weights, experts, devices, counts, rows, end;
  Layout(const WireHeader& header, const RowFormat& format) {
    weights = sizeof(WireHeader);
    experts = weights + sizeof(float) * std::uint64_t{header.weights};
    devices = experts + sizeof(std::uint16_t) * std::uint64_t{header.entries};
    counts = devices + (format.devices > 1 ? std::uint64_t{header.entries} : 0);
    rows = (counts + header.rows + kAlign - 1) / kAlign * kAlign;
    end = rows + header.rows * std::uint64_t{format.shared.empty() ? format.row_bytes : kPlace};
  }
};

// The counts must add up before anything is read through them.
void check_counts(const std::byte* counts, const WireHeader& header, const Stamp& stamp, int sender,
                  const RowFormat& format) {
  std::uint64_t entries = 0;
  std::uint64_t weights = 0;
  for (std::uint32_t r = 0; r < header.rows; ++r) {
    const auto count = std::to_integer<int>(counts[r]);
    if (count == 0) {
      fail_message(stamp, sender, "entries of row " + std::to_string(r), "0", "at least 1");
    }
    entries += static_cast<unsigned>(count);
    if (format.weighted(count)) weights += 1 + static_cast<unsigned>(count);
  }
  check_field(stamp, sender, "entries of all rows", entries, header.entries);
  check_field(stamp, sender, "weights", header.weights, weights);
}

// Where the sender's memory holds `bytes` bytes from the place that stands at `at`.
const std::byte* find_shared(const std::byte* at, std::uint64_t bytes,
                             std::span<const std::byte> shared, const Stamp& stamp, int sender) {
  std::uint64_t place = 0;
  std::memcpy(&place, at, sizeof(place));
  if (place > shared.size() || bytes > shared.size() - place)
    fail_message(stamp, sender, "place in shared memory", std::to_string(place),
                 "at most " + std::to_string(shared.size()) + " - " + std::to_string(bytes));
  return shared.data() + place;
}

std::uint64_t place_in(std::span<const std::byte> shared, const std::byte* at) {
  GM_CHECK(at >= shared.data() && at <= shared.data() + shared.size(),
           "what is shared lies outside of the shared memory");
  return static_cast<std::uint64_t>(at - shared.data());
}

struct EntryReader {
  const std::byte* weights;
  const std::byte* experts;
  const std::byte* devices;

  template <typename T>
  static T next(const std::byte*& at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    at += sizeof(T);
    return value;
  }
};

void read_entry(EntryReader& reader, bool weighted, const Stamp& stamp, int sender,
                const RowFormat& format, RowSet& set) {
  const auto expert = EntryReader::next<std::uint16_t>(reader.experts);
  const int device = format.devices > 1 ? EntryReader::next<std::uint8_t>(reader.devices) : 0;
  const float weight = weighted ? EntryReader::next<float>(reader.weights) : kNotNeeded;
  if (expert >= format.experts) {
    fail_message(stamp, sender, "expert id", std::to_string(expert),
                 "less than " + std::to_string(format.experts));
  }
  if (device >= format.devices) {
    fail_message(stamp, sender, "device of the node", std::to_string(device),
                 "less than " + std::to_string(format.devices));
  }
  set.add_entry(expert, format.first_device + device, weight);
}

}  // namespace

void fail_message(const Stamp& stamp, int sender, const std::string& what, const std::string& got,
                  const std::string& wanted) {
  fail(
      ErrorCategory::kPeer,
      {"message from rank " + std::to_string(sender) + " (" + to_string(stamp.phase) + "): " + what,
       got, wanted,
       "the ranks are out of step or their memory is damaged: are all of them the same program, "
       "with the same options?"});
}

std::size_t encode_rows(const RowSet& set, const Stamp& stamp, int sender, const RowFormat& format,
                        Bytes& out) {
  std::vector<float> weights;
  Bytes devices;
  Bytes counts;
  for (int r = 0; r < set.rows(); ++r) {
    const int count = set.count(r);
    GM_CHECK(count >= 1 && count <= 255, "a row with no entry, or with more than 255");
    counts.push_back(static_cast<std::byte>(count));
    const auto begin = set.first[static_cast<std::size_t>(r)];
    if (!format.weighted(count)) continue;
    weights.push_back(set.grid[static_cast<std::size_t>(r)]);
    weights.insert(weights.end(), set.weight.begin() + begin, set.weight.begin() + begin + count);
  }
  if (format.devices > 1) {
    for (const std::int32_t device : set.device) {
      devices.push_back(static_cast<std::byte>(device - format.first_device));
    }
  }
  WireHeader header = make_header(stamp, sender);
  header.rows = static_cast<std::uint32_t>(set.rows());
  header.entries = static_cast<std::uint32_t>(set.entries());
  header.weights = static_cast<std::uint32_t>(weights.size());
  const Layout layout(header, format);
  out.resize(layout.end);
  std::byte* at = put(out.data(), &header, 1);
  at = put(at, weights.data(), weights.size());
  at = put(at, set.expert.data(), set.expert.size());
  at = put(at, devices.data(), devices.size());
  at = put(at, counts.data(), counts.size());
  std::byte* rows = out.data() + layout.rows;
  std::fill(at, rows, std::byte{0});
  if (format.shared.empty()) {
    for (const std::byte* row : set.row) rows = put(rows, row, format.row_bytes);
  } else {
    for (const std::byte* row : set.row) {
      const std::uint64_t place = place_in(format.shared, row);
      rows = put(rows, &place, 1);
    }
  }
  return set.row.size() * format.row_bytes;
}

void decode_rows(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                 const RowFormat& format, RowSet& set) {
  const WireHeader header = read_header(bytes, stamp, sender);
  const Layout layout(header, format);
  check_field(stamp, sender, "bytes", bytes.size(), layout.end);
  if (header.entries > std::numeric_limits<std::int32_t>::max()) {
    fail_message(stamp, sender, "entries", std::to_string(header.entries), "less than 2^31");
  }
  const std::byte* counts = bytes.data() + layout.counts;
  check_counts(counts, header, stamp, sender, format);
  set.clear();
  EntryReader reader{bytes.data() + layout.weights, bytes.data() + layout.experts,
                     bytes.data() + layout.devices};
  for (std::uint32_t r = 0; r < header.rows; ++r) {
    const auto count = std::to_integer<int>(counts[r]);
    const bool weighted = format.weighted(count);
    const std::byte* row = format.shared.empty()
                               ? bytes.data() + layout.rows + r * format.row_bytes
                               : find_shared(bytes.data() + layout.rows + r * kPlace,
                                             format.row_bytes, format.shared, stamp, sender);
    set.begin_row(row, weighted ? EntryReader::next<float>(reader.weights) : kNotNeeded);
    for (int e = 0; e < count; ++e) {
      read_entry(reader, weighted, stamp, sender, format, set);
    }
  }
}

std::uint64_t rows_begin(const WireHeader& header, const RowFormat& format) {
  return Layout(header, format).rows;
}

int origin_of(std::span<const std::byte> bytes, const Stamp& stamp, int sender) {
  if (bytes.size() < sizeof(WireHeader))
    fail_message(stamp, sender, "bytes", std::to_string(bytes.size()), "a header of 32");
  WireHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  return header.origin;
}

void place_reply(const Stamp& stamp, int sender, std::span<const std::byte> shared,
                 std::span<const std::byte* const> at, Bytes& out) {
  std::byte* next = begin_reply(stamp, sender, static_cast<int>(at.size()), kPlace, out);
  for (const std::byte* unit : at) {
    const std::uint64_t place = place_in(shared, unit);
    next = put(next, &place, 1);
  }
}

void find_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender, int units,
                std::size_t row_bytes, std::span<const std::byte> shared,
                std::vector<const std::byte*>& at) {
  const std::byte* next = decode_reply(bytes, stamp, sender, units, kPlace);
  at.clear();
  for (int unit = 0; unit < units; ++unit, next += kPlace)
    at.push_back(find_shared(next, row_bytes, shared, stamp, sender));
}

std::byte* begin_reply(const Stamp& stamp, int sender, int units, std::size_t row_bytes,
                       Bytes& out) {
  WireHeader header = make_header(stamp, sender);
  header.rows = static_cast<std::uint32_t>(units);
  header.entries = static_cast<std::uint32_t>(stamp.first_row);
  out.resize(sizeof(WireHeader) + static_cast<std::size_t>(units) * row_bytes);
  return put(out.data(), &header, 1);
}

std::span<const std::byte> open_reply(std::span<const std::byte> bytes, const Stamp& stamp,
                                      int sender, int units) {
  const WireHeader header = read_header(bytes, stamp, sender);
  check_field(stamp, sender, "first row of the reply", header.entries,
              static_cast<std::uint64_t>(stamp.first_row));
  check_field(stamp, sender, "rows of the reply", header.rows, static_cast<std::uint64_t>(units));
  return bytes.subspan(sizeof(WireHeader));
}

const std::byte* decode_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                              int units, std::size_t row_bytes) {
  const std::span<const std::byte> its = open_reply(bytes, stamp, sender, units);
  check_field(stamp, sender, "bytes", bytes.size(),
              sizeof(WireHeader) + static_cast<std::uint64_t>(units) * row_bytes);
  return its.data();
}

}  // namespace gracemoe
