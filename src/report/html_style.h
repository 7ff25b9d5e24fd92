// The style sheet of the page: light and dark by the reader's setting, classes of the pictures
// included.
#pragma once
#include <string_view>

namespace gracemoe {

std::string_view html_style();

}  // namespace gracemoe
