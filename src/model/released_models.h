// The configurations of released models, by a short name.
#pragma once
#include <string>

#include "base/json.h"

namespace gracemoe {

// config.json as published, less what changes no result. Error (kUsage) on another name: lists the
// known.
OrderedJson released_config(const std::string& name);

}  // namespace gracemoe
