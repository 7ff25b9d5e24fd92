// The entries of a zip archive whose entries are all stored, not compressed: the container of
// PyTorch's files. Our own rather than libzip or minizip: both bring decompression, encryption and
// writing to a place that reads untrusted files, and hand out copies through streams, where views
// into the mapped file are all that is needed (some 100 lines).
#pragma once
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace gracemoe {

using ZipEntries = std::map<std::string_view, std::span<const std::byte>>;

// Views into `bytes`. Errors (kInput) name `name`: no zip; compressed or encrypted entries; an
// archive of 4 GiB and more (zip64), or over several disks; entries that reach outside, overlap, or
// share a name. Checksums are not looked at.
ZipEntries read_stored_zip(std::span<const std::byte> bytes, const std::string& name);

}  // namespace gracemoe
