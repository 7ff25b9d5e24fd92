// Whole small files: read them, and write them so that a reader never sees half a file.
#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

namespace gracemoe {

// False only where nothing is there: what exists but may not be looked at counts as there, so that
// opening it says why.
bool file_exists(const std::filesystem::path& path);

// Errors (kInput): missing, unreadable, a directory.
std::string read_file(const std::filesystem::path& path);

// Writes to a temporary name beside `path`, checks every write and the close, then renames. On any
// error the temporary is removed, an existing `path` stays as it was, and Error kOutput is thrown
// (unwritable folder, full disk, ...).
void write_file(const std::filesystem::path& path, std::string_view text);
void write_file(const std::filesystem::path& path,
                const std::function<void(std::ostream&)>& writer);

// Error (kOutput), as write_file would give, if `path` cannot be written; leaves nothing. For long
// work: ask before it starts.
void require_writable(const std::filesystem::path& path);

}  // namespace gracemoe
