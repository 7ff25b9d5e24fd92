// Runs text through the model in windows: for profiling and for perplexity.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/tokenizer.h"
#include "runtime/batch_runner.h"
#include "runtime/deployment.h"

namespace gracemoe {

// A text cut into consecutive windows of `window` tokens, without overlap; the last may be shorter.
// Requests are numbered from `first_id`. max_tokens > 0 takes only the text's first max_tokens
// tokens.
std::vector<Request> cut_windows(const std::vector<int>& tokens, int window, std::uint64_t first_id,
                                 std::int64_t max_tokens);

// Errors: a window longer than the model's positions (kUsage), a token that it does not have
// (kInput).
void check_windows(const std::vector<Request>& windows, int window, const ModelConfig& config);

// `count` prompts of `length` tokens, taken from the texts in turn at evenly spread places. Error
// (kUsage) if a text is shorter than `length`.
std::vector<Request> cut_prompts(const std::vector<std::vector<int>>& texts, int count, int length,
                                 int max_new_tokens);

struct Perplexity {
  std::int64_t tokens = 0;     // of the text
  std::int64_t predicted = 0;  // tokens scored
  double value = 0;            // exp(mean negative log likelihood)
};
// Full windows only, the first token of each is not scored. Collective; the same result on every
// rank.
Perplexity measure_perplexity(Deployment& deployment, const std::vector<int>& tokens, int window,
                              const RunOptions& options);

// The requests whose home is `rank` (routing/homes.h). A request counts with the tokens it runs
// through the model if nothing stops it early.
std::vector<Request> requests_of(const std::vector<Request>& all, int rank, int ranks);

}  // namespace gracemoe
