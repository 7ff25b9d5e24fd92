#include "base/error.h"

#include <cstring>

namespace gracemoe {

int Error::exit_code() const {
  switch (category_) {
    case ErrorCategory::kUsage:
    case ErrorCategory::kInput:
    case ErrorCategory::kOutput:
      return 2;
    case ErrorCategory::kPeer:
    case ErrorCategory::kInternal:
      return 1;
  }
  return 1;
}

std::string format_problem(const Problem& problem) {
  std::string text = problem.what;
  if (!problem.got.empty()) text += ": got " + problem.got;
  if (!problem.wanted.empty())
    text += (problem.got.empty() ? ": wanted " : ", wanted ") + problem.wanted;
  if (!problem.action.empty()) text += "; " + problem.action;
  return text;
}

void fail(ErrorCategory category, const Problem& problem) {
  throw Error(category, format_problem(problem));
}
void fail_usage(const Problem& problem) {
  fail(ErrorCategory::kUsage, problem);
}
void fail_input(const Problem& problem) {
  fail(ErrorCategory::kInput, problem);
}
void fail_output(const Problem& problem) {
  fail(ErrorCategory::kOutput, problem);
}

void contract_broken(const char* text, const char* file, int line) {
  const char* base = std::strrchr(file, '/');
  throw Error(ErrorCategory::kInternal, std::string("internal error: ") + text + " (" +
                                            (base ? base + 1 : file) + ":" + std::to_string(line) +
                                            "); please report this");
}

}  // namespace gracemoe
