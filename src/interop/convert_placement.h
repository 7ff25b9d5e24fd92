// The two halves of convert().
#pragma once
#include <string>
#include <vector>

#include "interop/convert.h"

namespace gracemoe {

using Lines = std::vector<std::string>;

// Each reads the inputs (whose format is `from`), writes options.out as `to`, and appends what it
// has to say. Without `to`, tokens become a trace and loads become statistics.
void convert_placement(const ConvertOptions& options, Format from, Format to, Lines& lines);
void convert_loads(const ConvertOptions& options, Format from, std::optional<Format> to,
                   Lines& lines);

void say_layers(const LayerNumbers& numbers, Lines& lines);

}  // namespace gracemoe
