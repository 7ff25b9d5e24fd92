#include "runtime/batch_runner.h"

#include <algorithm>
#include <array>
#include <memory>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

// A request under way.
struct Sequence {
  const Request* request;
  Completion* completion;
  KvCache cache;
  int computed = 0;     // prompt tokens in the cache
  int last_token = -1;  // to be fed next; -1 while the prompt lasts
  bool done = false;
  int position() const { return cache.length(); }
  bool decoding() const { return last_token >= 0; }
};

class Runner {
 public:
  Runner(Transformer& model, Transport& transport, std::span<const Request> mine,
         const RunOptions& options)
      : model_(model),
        transport_(transport),
        mine_(mine),
        options_(options),
        completions_(mine.size()) {
    GM_CHECK(options.max_rows > 0 && options.max_sequences > 0,
             "a step needs room for at least one row");
  }

  std::vector<Completion> run(RunTimes& times) {
    const double start = wall_seconds();
    while (true) {
      const double step_start = wall_seconds();
      compose();
      // [0] rows of all ranks, [1] prompt rows among them
      std::array<std::int64_t, 2> work{batch_.rows(), prompt_rows_};
      transport_.sum(work);
      if (work[0] == 0) break;
      step(work[1] > 0 ? "prefill step" : "decode step", step_start);
      ++times.steps;
      (work[1] > 0 ? times.prefill_s : times.decode_s) += wall_seconds() - step_start;
      tokens_done_ += work[0];
      if (options_.progress) options_.progress(tokens_done_);
    }
    times.end_to_end_s += wall_seconds() - start;
    return std::move(completions_);
  }

 private:
  // Which row of the batch gives logits for whom.
  struct Wanted {
    Sequence* sequence;
    int position;  // of the row
    bool last_prompt_or_decode;
  };

  void step(const char* kind, double start) {
    if (options_.profile != nullptr) {
      options_.profile->open_at(start, kind);
      options_.profile->open_at(start, "schedule");  // what has been done by now
      options_.profile->close();
    }
    take(model_.forward(batch_));
    if (options_.profile != nullptr) options_.profile->close();
  }

  void compose() {
    batch_ = {};
    batch_.profile = options_.profile;
    wanted_.clear();
    prompt_rows_ = 0;
    std::erase_if(active_, [](const std::unique_ptr<Sequence>& s) { return s->done; });
    admit();
    for (const auto& s : active_)
      if (s->decoding() && batch_.rows() < options_.max_rows) add_decode(*s);
    for (const auto& s : active_)
      if (!s->decoding() && batch_.rows() < options_.max_rows) add_prompt(*s);
  }

  // No more than a step can use: each admitted request takes its cache at once.
  void admit() {
    std::int64_t waiting = 0;  // prompt rows of admitted requests, not computed yet
    for (const auto& s : active_)
      waiting += static_cast<std::int64_t>(s->request->prompt.size()) - s->computed;
    while (next_ < mine_.size() && waiting < options_.max_rows &&
           active_.size() < static_cast<std::size_t>(options_.max_sequences)) {
      const Request& request = mine_[next_];
      completions_[next_].id = request.id;
      const int positions = static_cast<int>(request.prompt.size()) + request.max_new_tokens;
      active_.push_back(std::unique_ptr<Sequence>(
          new Sequence{&request, &completions_[next_], model_.make_cache(positions)}));
      waiting += static_cast<std::int64_t>(request.prompt.size());
      ++next_;
    }
  }

  void add_decode(Sequence& s) {
    want(s, s.position(), true);
    batch_.add(s.cache, s.request->id, s.position(), &s.last_token, 1);
  }

  void add_prompt(Sequence& s) {
    const int left = static_cast<int>(s.request->prompt.size()) - s.computed;
    const int count = std::min(left, options_.max_rows - batch_.rows());
    const bool all = options_.score != nullptr;
    const bool ends = count == left && s.request->max_new_tokens > 0;
    for (int i = 0; i < count; ++i)
      if (all || (ends && i == count - 1)) want(s, s.computed + i, ends && i == count - 1, i);
    batch_.add(s.cache, s.request->id, s.computed, s.request->prompt.data() + s.computed, count);
    s.computed += count;
    prompt_rows_ += count;
    if (count == left && s.request->max_new_tokens == 0) s.done = true;
  }

  // The row `offset` places after the batch's present end.
  void want(Sequence& s, int position, bool samples, int offset = 0) {
    batch_.logit_rows.push_back(batch_.rows() + offset);
    wanted_.push_back({&s, position, samples});
  }

  void take(std::span<const float> logits) {
    const ScopedSpan span(options_.profile, "sampling");
    const auto vocab = static_cast<std::size_t>(model_.config().vocab);
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      const Wanted& w = wanted_[i];
      const std::span<const float> row = logits.subspan(i * vocab, vocab);
      if (options_.score && w.position < static_cast<int>(w.sequence->request->prompt.size()))
        options_.score(*w.sequence->request, w.position, row);
      if (w.last_prompt_or_decode) accept(*w.sequence, row);
    }
  }

  void accept(Sequence& s, std::span<const float> logits) {
    Completion& completion = *s.completion;
    if (options_.logit_hashes) completion.logit_hashes.push_back(hash_bytes(std::as_bytes(logits)));
    const std::size_t usable =
        options_.sample_vocab > 0
            ? std::min(logits.size(), static_cast<std::size_t>(options_.sample_vocab))
            : logits.size();
    const int token = sample(options_.sampling, logits.first(usable), s.request->id,
                             static_cast<std::uint64_t>(s.position()));
    const std::vector<int>& eos = model_.config().eos_tokens;
    if (!options_.ignore_eos && std::find(eos.begin(), eos.end(), token) != eos.end()) {
      completion.reason = FinishReason::kStop;
      s.done = true;
      return;
    }
    completion.tokens.push_back(token);
    s.last_token = token;
    s.done = static_cast<int>(completion.tokens.size()) == s.request->max_new_tokens;
  }

  Transformer& model_;
  Transport& transport_;
  std::span<const Request> mine_;
  const RunOptions& options_;
  std::vector<Completion> completions_;  // of mine_
  std::size_t next_ = 0;                 // first request not yet admitted
  std::vector<std::unique_ptr<Sequence>> active_;
  StepBatch batch_;
  std::vector<Wanted> wanted_;  // in the order of batch_.logit_rows
  std::int64_t prompt_rows_ = 0, tokens_done_ = 0;
};

}  // namespace

std::vector<Completion> run_requests(Transformer& model, Transport& transport,
                                     std::span<const Request> mine, const RunOptions& options,
                                     RunTimes& times) {
  return Runner(model, transport, mine, options).run(times);
}

}  // namespace gracemoe
