// The message of the Error that a piece of code throws, for assertions on it.
#pragma once
#include <string>

#include "base/error.h"

namespace gracemoe {

// "" where nothing is thrown; another exception passes through and fails the test.
template <typename Code>
std::string error_of(Code&& code, ErrorCategory category = ErrorCategory::kInput) {
  try {
    code();
  } catch (const Error& e) {
    if (e.category() != category) return "an error of another category: " + std::string(e.what());
    return e.what();
  }
  return "";
}

}  // namespace gracemoe
