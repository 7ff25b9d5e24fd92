// Numbers as people read them, beside those of progress.h.
#pragma once
#include <cstdint>
#include <string>

namespace gracemoe {

// "1 layer", "2 layers", "12,345 tokens"; `plural` where an s does not do.
std::string counted(std::int64_t count, const std::string& noun, const std::string& plural = "");
// At most six decimals, none that say nothing: "3", "0.25".
std::string plain_number(double value);
// "520 ns", "4.2 us", "52.4 ms", "1.5 s", from a minute on as human_seconds.
std::string short_seconds(double seconds);

}  // namespace gracemoe
