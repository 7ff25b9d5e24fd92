// The lock-step loop that all ranks run: each step takes some rows of this rank's requests (decode
// tokens first, then chunks of prompts), runs the model - which is collective - and samples. A rank
// without work still takes part until all are done.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/transformer.h"
#include "exchange/transport.h"
#include "runtime/cut_chooser.h"
#include "runtime/request.h"

namespace gracemoe {

struct RunOptions {
  int max_rows =
      512;  // rows a step computes on one device: prompts are taken in chunks of at most this
  int max_sequences = 256;  // sequences a device holds caches for at once
  // Where the exchange has two lanes, whether every step with enough rows is cut into
  // micro-batches; if not, those where that has been faster so far (cut_chooser.h).
  bool always_cut = true;
  // What it has learnt of that, kept from one run to the next; null: the run's own.
  CutChooser* cut_chooser = nullptr;
  // Of the ranks, where steps whose rows lie unevenly on the devices of a node are to be marked so
  // (Even::kAuto); null: none is.
  const Topology* evened = nullptr;
  bool ignore_eos = false;
  bool logit_hashes = false;
  int sample_vocab = 0;  // ids below this may be sampled (the tokenizer's); 0: the whole vocabulary
  // Not null: the spans of every step, "prefill step" where some device computes prompt rows, or
  // "decode step".
  SpanRecorder* profile = nullptr;
  // Called on every rank after each step with tokens done on all ranks together (prompt and
  // generated).
  std::function<void(std::int64_t tokens_done)> progress;
  // Set both or neither: gives a request its cache, with room for `positions`, which may hold the
  // first tokens of the prompt already (never all of them); and takes it back at the request's end.
  std::function<KvCache(const Request& request, int positions)> begin_cache;
  std::function<void(const Request& request, const Completion& completion, KvCache cache)>
      end_cache;
  // If set, called on a request's home after each of its tokens; false ends the request (kStop).
  std::function<bool(const Request& request, int token)> accept;
  // If set, called on every rank after each step in which a request ended on some rank, with those
  // of this rank: what it does may be collective. They are not among the returned ones then.
  std::function<void(std::span<const Completion> finished)> deliver;
  // If set, logits of every prompt row are computed and given here: logits [vocab] that follow
  // position `position` of the request.
  std::function<void(const Request& request, int position, std::span<const float> logits)> score;
};

struct RunTimes {
  double end_to_end_s = 0;  // wall time of the loop
  double prefill_s = 0;     // of it, steps in which some device computed prompt rows
  double decode_s = 0;      // of it, the other steps
  std::int64_t steps = 0;
};

// The most positions that caches have room for at once on a rank that runs these requests.
std::int64_t cache_positions(std::span<const Request> mine, const RunOptions& options);
// The most rows that a step computes logits of on a rank that runs these requests: of every row
// where options.score is set, or of one row of each request that generates.
int logit_rows(std::span<const Request> mine, const RunOptions& options);

// Collective. `mine`: the requests whose home is this rank. Completions come in the order of
// `mine`.
std::vector<Completion> run_requests(Transformer& model, Transport& transport,
                                     std::span<const Request> mine, const RunOptions& options,
                                     RunTimes& times);

}  // namespace gracemoe
