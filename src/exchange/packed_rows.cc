#include "exchange/packed_rows.h"

#include <cstring>
#include <string>

#include "exchange/row_packing.h"

namespace gracemoe {
namespace {

constexpr std::uint32_t kPackedMagic = 0x50584d47;  // "GMXP"
constexpr std::size_t kNumber = 2;

void set_magic(Bytes& message, std::uint32_t magic) {
  static_assert(offsetof(WireHeader, magic) == 0);
  std::memcpy(message.data(), &magic, sizeof magic);
}

WireHeader header_of(const Bytes& message) {
  WireHeader header;
  std::memcpy(&header, message.data(), sizeof header);
  return header;
}

}  // namespace

std::size_t pack_message(const RowFormat& format, Bytes& message) {
  const std::size_t begin = rows_begin(header_of(message), format);
  const std::size_t rows = message.size() - begin;
  Bytes packed(begin + packed_rows_bound(rows / kNumber));
  std::memcpy(packed.data(), message.data(), begin);
  const std::byte* end = pack_rows(message.data() + begin, rows / kNumber, packed.data() + begin);
  packed.resize(static_cast<std::size_t>(end - packed.data()));
  if (packed.size() >= message.size()) return rows;
  set_magic(packed, kPackedMagic);
  message = std::move(packed);
  return message.size() - begin;
}

void unpack_message(const Stamp& stamp, int sender, const RowFormat& format, Bytes& message) {
  if (message.size() < sizeof(WireHeader)) return;
  const WireHeader header = header_of(message);
  if (header.magic != kPackedMagic) return;
  const std::uint64_t begin = rows_begin(header, format);
  const std::uint64_t numbers = header.rows * std::uint64_t{format.row_bytes} / kNumber;
  if (begin > message.size() || packed_rows_least(numbers) > message.size() - begin)
    fail_message(stamp, sender, "bytes of packed rows", std::to_string(message.size()),
                 "at least " + std::to_string(begin + packed_rows_least(numbers)));
  Bytes plain(begin + numbers * kNumber);
  std::memcpy(plain.data(), message.data(), begin);
  const auto packed = std::span<const std::byte>(message).subspan(begin);
  const std::size_t read = unpack_rows(packed, numbers, plain.data() + begin);
  if (read != packed.size())
    fail_message(stamp, sender, "packed rows", "rows of " + std::to_string(read) + " bytes",
                 std::to_string(packed.size()));
  set_magic(plain, kWireMagic);
  message = std::move(plain);
}

std::size_t write_rows(const RowSet& set, const Stamp& stamp, int sender, const RowFormat& format,
                       Bytes& message) {
  const std::size_t payload = encode_rows(set, stamp, sender, format, message);
  return format.packed_rows ? pack_message(format, message) : payload;
}

std::size_t read_rows(Bytes& message, const Stamp& stamp, int sender, const RowFormat& format,
                      RowSet& set) {
  const std::size_t bytes = message.size();
  if (format.packed_rows) unpack_message(stamp, sender, format, message);
  decode_rows(message, stamp, sender, format, set);
  return bytes - rows_begin(header_of(message), format);
}

}  // namespace gracemoe
