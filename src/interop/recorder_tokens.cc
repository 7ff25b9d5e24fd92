// Mode per_token of SGLang's recorder.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/hash.h"
#include "interop/json_tables.h"
#include "interop/recorder_sequences.h"
#include "interop/recorder_slots.h"
#include "interop/sglang_recorder.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kRecords[] = "records";
constexpr char kTopk[] = "topk_ids_of_layer";
constexpr std::uint16_t kPad = 65535;  // never an expert: num_experts is at most 65535

struct Record {
  std::int64_t pass = 0;
  int rank = 0;
  std::string gatherer;
  std::string what;
  std::size_t layers = 0, tokens = 0, width = 0;
  std::vector<std::uint16_t> experts;   // [layers, tokens, width], pads kPad
  std::vector<std::int64_t> parts;      // sum to tokens
  std::vector<std::int64_t> positions;  // [tokens], or empty
  std::uint64_t content = 0;            // hash of what the tokens are and where they went
  bool prefill = false;

  std::span<const std::uint16_t> chosen(std::size_t layer, std::size_t token) const {
    return std::span(experts).subspan((layer * tokens + token) * width, width);
  }
};

void read_experts(Record& record, const TorchDict& dict, const SlotMap& map) {
  const IntTensor ids = dict.tensor(kTopk);
  const std::string what = dict.key_name(kTopk);
  if (ids.shape.size() != 3 || ids.shape[0] != map.shape()[0] || ids.shape[2] < 1 ||
      ids.shape[2] > kMaxTopK)
    fail_input(
        {what, "another shape", "[hidden layers as in the map, tokens, experts a token]", ""});
  record.layers = map.layers();
  record.tokens = static_cast<std::size_t>(ids.shape[1]);
  record.width = static_cast<std::size_t>(ids.shape[2]);
  record.experts.reserve(ids.values.size());
  const std::size_t per_layer = record.tokens * record.width;
  for (std::size_t i = 0; i < ids.values.size(); ++i) {
    const std::int64_t slot = ids.values[i];
    if (slot < -1 || slot >= map.shape()[1])
      fail_input({what + ": layer " + std::to_string(i / per_layer) + ", token " +
                      std::to_string(i % per_layer / record.width),
                  "slot " + std::to_string(slot),
                  "slots below " + std::to_string(map.shape()[1]) + ", or -1", ""});
    record.experts.push_back(slot < 0 ? kPad
                                      : static_cast<std::uint16_t>(map.expert(
                                            i / per_layer, static_cast<std::size_t>(slot))));
  }
}

void read_parts(Record& record, const TorchDict& dict) {
  record.positions = dict.integers("positions").value_or(std::vector<std::int64_t>{});
  if (record.positions.size() != record.tokens) record.positions.clear();
  const auto parts = dict.integers("extend_seq_lens");
  record.prefill = parts.has_value();
  std::size_t sum = 0;
  bool usable = parts.has_value();
  if (parts) {
    for (const std::int64_t part : *parts) {
      usable = usable && part >= 0 && static_cast<std::uint64_t>(part) <= record.tokens - sum;
      if (usable) sum += static_cast<std::size_t>(part);
    }
    usable = usable && sum == record.tokens;
  }
  if (usable)
    record.parts = *parts;
  else if (parts.has_value() || record.positions.empty())
    record.parts.assign(1, static_cast<std::int64_t>(record.tokens));  // padded, or not said
  else
    record.parts.assign(record.tokens, 1);  // decoding: one token a request
}

std::uint64_t content_of(const Record& record, const TorchDict& dict) {
  const auto ids = dict.integers("input_ids").value_or(std::vector<std::int64_t>{});
  std::uint64_t hash = hash_bytes(std::as_bytes(std::span(ids)));
  hash = hash_bytes(std::as_bytes(std::span(record.positions)), hash);
  return hash_bytes(std::as_bytes(std::span(record.experts)), hash);
}

Record read_record(const TorchDict& dict, const SlotMap& map) {
  Record record;
  record.what = dict.what();
  record.pass = dict.integer("forward_pass_id");
  record.rank =
      static_cast<int>(std::clamp<std::int64_t>(dict.integer("rank"), 0, std::int64_t{1} << 30));
  record.gatherer = dict.has("gatherer_key") ? dict.text("gatherer_key") : "";
  read_experts(record, dict, map);
  read_parts(record, dict);
  record.content = content_of(record, dict);
  return record;
}

struct Recording {
  std::vector<Record> records;  // by pass, rank, gatherer
  std::size_t layers = 0;
  int num_experts = 0;
  std::int64_t repeated = 0;
};

// A record again is refused before it is read: a small pickle could name one a million times.
void read_file_records(Recording& recording, const TorchFile& file,
                       std::set<std::tuple<std::int64_t, std::int64_t, std::string>>& seen) {
  const TorchDict root = file.root();
  const SlotMap map = read_slot_map(root);
  if (recording.layers != 0 && recording.layers != map.layers())
    fail_input({file.name(), std::to_string(map.layers()) + " layers",
                std::to_string(recording.layers) + ", as in the first file", ""});
  recording.layers = map.layers();
  recording.num_experts = std::max(recording.num_experts, map.num_experts);
  const auto& records = root.list(kRecords);
  for (std::size_t r = 0; r < records.size(); ++r) {
    const TorchDict dict = file.dict(records[r], item_name(root.key_name(kRecords), r));
    const std::string gatherer = dict.has("gatherer_key") ? dict.text("gatherer_key") : "";
    if (!seen.emplace(dict.integer("forward_pass_id"), dict.integer("rank"), gatherer).second)
      fail_input({dict.what(),
                  "forward pass " + std::to_string(dict.integer("forward_pass_id")) + " of rank " +
                      std::to_string(dict.integer("rank")) + " a second time",
                  "each pass of a rank once", "give each rank's dump once"});
    recording.records.push_back(read_record(dict, map));
  }
}

void drop_repeated(Recording& recording) {
  std::set<std::tuple<std::int64_t, std::uint64_t, std::size_t>> seen;
  std::erase_if(recording.records, [&](const Record& record) {
    if (record.tokens == 0) return true;
    if (seen.emplace(record.pass, record.content, record.tokens).second) return false;
    recording.repeated += static_cast<std::int64_t>(record.tokens);
    return true;
  });
}

Recording read_recording(std::span<const TorchFile> files) {
  Recording recording;
  std::set<std::tuple<std::int64_t, std::int64_t, std::string>> seen;
  for (const TorchFile& file : files) read_file_records(recording, file, seen);
  std::sort(recording.records.begin(), recording.records.end(),
            [](const Record& a, const Record& b) {
              return std::tie(a.pass, a.rank, a.gatherer) < std::tie(b.pass, b.rank, b.gatherer);
            });
  drop_repeated(recording);
  return recording;
}

// Layers in which any token has an expert.
std::vector<bool> layers_in_use(const Recording& recording) {
  std::vector<bool> used(recording.layers);
  for (const Record& record : recording.records)
    for (std::size_t l = 0; l < record.layers; ++l)
      for (std::size_t i = 0; i < record.tokens * record.width && !used[l]; ++i)
        used[l] = record.experts[l * record.tokens * record.width + i] != kPad;
  return used;
}

std::size_t experts_chosen(std::span<const std::uint16_t> chosen) {
  return chosen.size() - static_cast<std::size_t>(std::count(chosen.begin(), chosen.end(), kPad));
}

// Appends a token; false if it has no expert in any layer.
bool append_token(RoutingTrace& trace, const Record& record, std::size_t token,
                  const std::vector<int>& layers) {
  const auto count = [&](int layer) {
    return experts_chosen(record.chosen(static_cast<std::size_t>(layer), token));
  };
  if (std::all_of(layers.begin(), layers.end(), [&](int l) { return count(l) == 0; })) return false;
  if (trace.top_k == 0) trace.top_k = static_cast<int>(count(layers[0]));
  for (const int layer : layers) {
    const auto chosen = record.chosen(static_cast<std::size_t>(layer), token);
    const std::string place =
        record.what + ": layer " + std::to_string(layer) + ", token " + std::to_string(token);
    if (count(layer) != static_cast<std::size_t>(trace.top_k) || trace.top_k == 0)
      fail_input({place, std::to_string(count(layer)) + " experts",
                  std::to_string(trace.top_k) + ", as elsewhere",
                  "name the MoE layers with --moe-layers if this is none"});
    const std::size_t begin = trace.experts.size();
    for (const std::uint16_t expert : chosen) {
      if (expert == kPad) continue;
      const auto first = trace.experts.begin() + static_cast<std::ptrdiff_t>(begin);
      if (std::find(first, trace.experts.end(), expert) != trace.experts.end())
        fail_input({place, "expert " + std::to_string(expert) + " twice", "distinct experts",
                    "were the experts moved while recording? then the dump's map is not theirs"});
      trace.experts.push_back(expert);
    }
  }
  return true;
}

struct TokenPlace {
  std::size_t record = 0, token = 0;
};

// [sequences][tokens], in the order they ran.
std::vector<std::vector<TokenPlace>> sequences_of(const Recording& recording) {
  SequenceBuilder builder;
  std::vector<std::vector<TokenPlace>> sequences;
  for (std::size_t r = 0; r < recording.records.size(); ++r) {
    const Record& record = recording.records[r];
    const auto numbers = builder.add({record.rank, record.parts, record.positions});
    sequences.resize(static_cast<std::size_t>(builder.count()));
    std::size_t token = 0;
    for (std::size_t p = 0; p < record.parts.size(); ++p)
      for (std::int64_t i = 0; i < record.parts[p]; ++i)
        sequences[static_cast<std::size_t>(numbers[p])].push_back({r, token++});
  }
  return sequences;
}

std::string phase_of(const Recording& recording) {
  const auto prefills = std::count_if(recording.records.begin(), recording.records.end(),
                                      [](const Record& r) { return r.prefill; });
  if (prefills == 0) return "decode";
  return prefills == static_cast<std::ptrdiff_t>(recording.records.size()) ? "prefill" : "mixed";
}

}  // namespace

RecorderTokens read_recorder_tokens(std::span<const TorchFile> files, const LayerChoice& choice,
                                    int num_experts) {
  const Recording recording = read_recording(files);
  RecorderTokens result;
  result.repeated = recording.repeated;
  result.tokens.numbers = choose_rows(choice, static_cast<int>(recording.layers),
                                      layers_in_use(recording), files.front().name());
  RoutingTrace& trace = result.tokens.trace;
  trace.num_experts = std::max(num_experts, recording.num_experts);
  trace.layers = static_cast<int>(result.tokens.numbers.absolute.size());
  trace.phase = phase_of(recording);
  std::int32_t number = 0;
  for (const auto& sequence : sequences_of(recording)) {
    const std::size_t before = trace.sequence.size();
    for (const TokenPlace place : sequence) {
      if (append_token(trace, recording.records[place.record], place.token,
                       result.tokens.numbers.absolute))
        trace.sequence.push_back(number);
      else
        ++result.pads;
    }
    if (trace.sequence.size() > before) ++number;
  }
  if (trace.sequence.empty())
    fail_input({files.front().name(), "no token with experts", "at least one",
                "record while requests run, or check --moe-layers"});
  return result;
}

}  // namespace gracemoe
