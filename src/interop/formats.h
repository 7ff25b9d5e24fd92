// The formats that convert knows: their names, what they hold, and telling them apart.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gracemoe {

enum class Format {
  kPlan,
  kSglang,
  kTrtllm,
  kVllmMapping,
  kVllmExpertMap,
  kVllmExpertRanks,
  kVllmAscend,
  kTrace,
  kStats,
  kSglangCounts,
  kSglangRecorder,
  kTrtllmStats,
  kVllmLoads,
  kMemra,
  kRoutedExperts,
};

// What a file holds; a file can be converted to another one of its kind, and tokens to loads.
enum class Holds { kPlacement, kLoads, kTokens };

struct FormatInfo {
  Format format;
  const char* name;   // as options and messages say it
  const char* other;  // a second name that options take; may be empty
  const char* what;   // for help
  Holds holds;
  bool written;  // convert can write it, not only read it
};
const std::vector<FormatInfo>& all_formats();
const FormatInfo& info(Format format);
// Error (kUsage) lists the names.
Format parse_format(const std::string& name);
// Names of all formats that hold this, each with what it is, a line each.
std::string format_list();

// The format of a file or folder by its content. Errors (kInput): unreadable; none of those that
// can be told (routed experts cannot).
Format detect_format(const std::filesystem::path& path);
// The same for a file's beginning and whole text; nothing where it is not clear.
std::optional<Format> detect_text(const std::string& text, const std::string& name);

}  // namespace gracemoe
