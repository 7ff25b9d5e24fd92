#include "runtime/batch_runner.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

// Rows a device and micro-batch from which it can pay to cut a step: experts' weights are read once
// more for each.
constexpr std::int64_t kRowsWorthALane = 16;
// A node's rows lie unevenly if one device has so many more than the mean, and so many times as
// many: fewer are not worth a message more.
constexpr std::int64_t kUnevenRows = 16;
constexpr double kUnevenTimes = 1.25;

// rows [devices]: of a step; of the node of device `self`.
bool lie_unevenly(std::span<const std::int64_t> rows, const Topology& topology, int self) {
  const int node = topology.node_of(self);
  const auto its = rows.subspan(static_cast<std::size_t>(topology.first_device(node)),
                                static_cast<std::size_t>(topology.devices_on(node)));
  const std::int64_t most = *std::max_element(its.begin(), its.end());
  const double mean = static_cast<double>(std::accumulate(its.begin(), its.end(), 0LL)) /
                      static_cast<double>(its.size());
  return static_cast<double>(most) >= mean + kUnevenRows &&
         static_cast<double>(most) >= mean * kUnevenTimes;
}

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

constexpr std::size_t kWorkOfAll = 4;  // numbers of a step that are sums over all ranks

class Runner {
 public:
  Runner(Transformer& model, Transport& transport, std::span<const Request> mine,
         const RunOptions& options)
      : model_(model),
        transport_(transport),
        mine_(mine),
        options_(options),
        completions_(mine.size()),
        chooser_(options.cut_chooser != nullptr ? *options.cut_chooser : own_chooser_) {
    GM_CHECK(options.max_rows > 0 && options.max_sequences > 0,
             "a step needs room for at least one row");
  }

  std::vector<Completion> run(RunTimes& times) {
    const double start = wall_seconds();
    while (true) {
      const double step_start = wall_seconds();
      compose();
      // [0] rows of all ranks, [1] prompt rows among them, [2] requests that have ended, [3]
      // microseconds since the last sum, [4 ...] rows of each rank, where these are asked for
      std::vector<std::int64_t> work{batch_.rows(), prompt_rows_,
                                     static_cast<std::int64_t>(finished_.size()),
                                     std::llround((wall_seconds() - last_sum_) * 1e6)};
      if (options_.evened != nullptr) {
        work.resize(kWorkOfAll + static_cast<std::size_t>(transport_.size()));
        work[kWorkOfAll + static_cast<std::size_t>(transport_.rank())] = batch_.rows();
      }
      transport_.sum(work);
      last_sum_ = wall_seconds();
      if (work[2] > 0) {
        options_.deliver(finished_);
        finished_.clear();
      }
      if (work[0] == 0) break;
      batch_.uneven =
          options_.evened != nullptr &&
          lie_unevenly(std::span(work).subspan(kWorkOfAll), *options_.evened, transport_.rank());
      batch_.micro_batches = cut(work[0], work[1], work[3]) ? model_.lanes() : 1;
      step(work[1] > 0 ? "prefill step" : "decode step", step_start);
      ++times.steps;
      (work[1] > 0 ? times.prefill_s : times.decode_s) += wall_seconds() - step_start;
      tokens_done_ += work[0];
      if (options_.progress) options_.progress(tokens_done_);
    }
    times.end_to_end_s += wall_seconds() - start;
    if (options_.deliver) completions_.clear();
    return std::move(completions_);
  }

 private:
  // Which row of the batch gives logits for whom.
  struct Wanted {
    Sequence* sequence;
    int position;  // of the row
    bool last_prompt_or_decode;
  };

  // The same on every rank: all arguments are sums over them.
  bool cut(std::int64_t rows, std::int64_t prompt_rows, std::int64_t last_us) {
    if (chosen_) chooser_.took(static_cast<double>(last_us) * 1e-6);
    const bool many = rows >= kRowsWorthALane * model_.lanes() * transport_.size();
    chosen_ = many && model_.lanes() > 1 && !options_.always_cut;
    return chosen_ ? chooser_.choose(rows, prompt_rows) : many;
  }

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
    retire();
    admit();
    for (const auto& s : active_)
      if (s->decoding() && batch_.rows() < options_.max_rows) add_decode(*s);
    for (const auto& s : active_)
      if (!s->decoding() && batch_.rows() < options_.max_rows) add_prompt(*s);
  }

  void retire() {
    if (options_.end_cache)
      for (const auto& s : active_)
        if (s->done) options_.end_cache(*s->request, *s->completion, std::move(s->cache));
    if (options_.deliver)
      for (const auto& s : active_)
        if (s->done) finished_.push_back(std::move(*s->completion));
    std::erase_if(active_, [](const std::unique_ptr<Sequence>& s) { return s->done; });
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
          new Sequence{&request, &completions_[next_],
                       options_.begin_cache ? options_.begin_cache(request, positions)
                                            : model_.make_cache(positions)}));
      active_.back()->computed = active_.back()->cache.length();
      waiting += static_cast<std::int64_t>(request.prompt.size()) - active_.back()->computed;
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
    const Request& request = *s.request;
    const std::span<const float> row = penalise(request.sampling, logits.first(usable),
                                                request.prompt, completion.tokens, penalised_);
    const int token =
        sample(request.sampling, row, request.stream, static_cast<std::uint64_t>(s.position()));
    const std::vector<int>& eos = model_.config().eos_tokens;
    if (!options_.ignore_eos && std::find(eos.begin(), eos.end(), token) != eos.end()) {
      completion.reason = FinishReason::kStop;
      s.done = true;
      return;
    }
    completion.tokens.push_back(token);
    if (request.logprobs >= 0)
      completion.logprobs.push_back(logprobs_of(logits.first(usable), token, request.logprobs));
    s.last_token = token;
    s.done = static_cast<int>(completion.tokens.size()) == request.max_new_tokens;
    if (options_.accept && !options_.accept(request, token)) {
      completion.reason = FinishReason::kStop;
      s.done = true;
    }
  }

  Transformer& model_;
  Transport& transport_;
  std::span<const Request> mine_;
  const RunOptions& options_;
  std::vector<Completion> completions_;  // of mine_
  std::size_t next_ = 0;                 // first request not yet admitted
  std::vector<std::unique_ptr<Sequence>> active_;
  StepBatch batch_;
  std::vector<Wanted> wanted_;        // in the order of batch_.logit_rows
  std::vector<float> penalised_;      // logits of one row after its request's penalties
  std::vector<Completion> finished_;  // not delivered yet
  std::int64_t prompt_rows_ = 0, tokens_done_ = 0;
  double last_sum_ = wall_seconds();
  CutChooser own_chooser_;
  CutChooser& chooser_;
  bool chosen_ = false;  // the last step, by chooser_
};

}  // namespace

std::int64_t cache_positions(std::span<const Request> mine, const RunOptions& options) {
  std::vector<std::int64_t> answered, read;  // positions of requests that generate, and of others
  for (const Request& request : mine)
    (request.max_new_tokens > 0 ? answered : read)
        .push_back(static_cast<std::int64_t>(request.prompt.size()) + request.max_new_tokens);
  std::sort(answered.rbegin(), answered.rend());
  std::sort(read.rbegin(), read.rend());
  std::int64_t positions = 0;
  const auto most = static_cast<std::size_t>(options.max_sequences);
  for (std::size_t i = 0; i < std::min(most, answered.size()); ++i) positions += answered[i];
  // A prompt that is only read leaves when it has been: fewer than a step's rows wait.
  std::int64_t waiting = 0;
  for (std::size_t i = 0; i < read.size() && (i < 2 || waiting < options.max_rows); ++i)
    waiting += read[i];
  return positions + waiting;
}

int logit_rows(std::span<const Request> mine, const RunOptions& options) {
  if (options.score) return options.max_rows;
  const auto answered = std::count_if(mine.begin(), mine.end(),
                                      [](const Request& r) { return r.max_new_tokens > 0; });
  return static_cast<int>(
      std::min<std::int64_t>(answered, std::min(options.max_rows, options.max_sequences)));
}

std::vector<Completion> run_requests(Transformer& model, Transport& transport,
                                     std::span<const Request> mine, const RunOptions& options,
                                     RunTimes& times) {
  return Runner(model, transport, mine, options).run(times);
}

}  // namespace gracemoe
