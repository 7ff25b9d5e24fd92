#include "runtime/request.h"

#include <string>

#include "base/error.h"

namespace gracemoe {

void check_requests(const std::vector<Request>& requests, int vocab, int max_positions) {
  for (const Request& request : requests) {
    const std::string name = "prompt " + std::to_string(request.id);
    if (request.prompt.empty())
      fail_input({name, "no token", "at least one", "remove it or give it a text"});
    for (const int id : request.prompt)
      if (id < 0 || id >= vocab)
        fail_input({name + ": token id", std::to_string(id), "0 to " + std::to_string(vocab - 1),
                    "use the tokenizer of the model's own folder"});
    const auto positions =
        static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens;
    if (positions > max_positions)
      fail_input({name,
                  std::to_string(request.prompt.size()) + " prompt tokens and " +
                      std::to_string(request.max_new_tokens) + " to generate",
                  "at most " + std::to_string(max_positions) +
                      " positions together, as the model's config says",
                  "shorten the prompt or ask for fewer tokens"});
  }
}

}  // namespace gracemoe
