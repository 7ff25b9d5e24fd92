// The value of a string in a template.
#pragma once
#include <string>
#include <string_view>

#include "model/jinja/value.h"

namespace gracemoe::jinja {

// `body`: what stands between the quotes. Python's escapes; one that Python does not know stays as
// it is. Errors: \N{...}, a \x or \u without its digits, a code that is no character.
std::string string_value(std::string_view body, const Place& at);

}  // namespace gracemoe::jinja
