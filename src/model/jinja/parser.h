// From tokens to statements.
#pragma once
#include <string_view>

#include "model/jinja/syntax.h"

namespace gracemoe::jinja {

// Errors (kInput), with the template's name and the line: anything outside of the subset, nesting
// beyond what a template needs.
Block parse(std::string_view source, std::string_view name);

}  // namespace gracemoe::jinja
