// The one exception type of the project. Caught in three places only: the CLI's main, the server's
// handler and the rank's main, which names the rank and aborts the job so that no peer hangs.
#pragma once
#include <stdexcept>
#include <string>

namespace gracemoe {

enum class ErrorCategory {
  kUsage,     // the command line or an option is wrong
  kInput,     // a file or text given to us is wrong
  kOutput,    // something we must write cannot be written
  kPeer,      // another rank failed or is silent
  kInternal,  // a contract of ours is broken: a defect
};

// A message has four parts; `action` may be empty where nothing can be advised.
struct Problem {
  std::string what;    // "models/x/config.json: hidden_size"
  std::string got;     // "'abc'"
  std::string wanted;  // "a positive integer"
  std::string action;  // "check that the folder is a complete Hugging Face model folder"
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCategory category, const std::string& message)
      : std::runtime_error(message), category_(category) {}
  ErrorCategory category() const { return category_; }
  // 2 for what a user can mend (usage, input, output), 1 for the rest.
  int exit_code() const;

 private:
  ErrorCategory category_;
};

// "what: got G, wanted W; action" (parts left empty are left out).
std::string format_problem(const Problem& problem);

[[noreturn]] void fail(ErrorCategory category, const Problem& problem);
[[noreturn]] void fail_usage(const Problem& problem);
[[noreturn]] void fail_input(const Problem& problem);
[[noreturn]] void fail_output(const Problem& problem);

// Contract at entry of a function: throws kInternal with the text and the place. Always on; keep
// out of inner loops.
#define GM_CHECK(condition, text)                                            \
  do {                                                                       \
    if (!(condition)) ::gracemoe::contract_broken(text, __FILE__, __LINE__); \
  } while (false)
[[noreturn]] void contract_broken(const char* text, const char* file, int line);

}  // namespace gracemoe
