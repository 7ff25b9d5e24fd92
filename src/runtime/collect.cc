#include "runtime/collect.h"

#include <algorithm>
#include <bit>
#include <map>

#include "runtime/together.h"

namespace gracemoe {
namespace {

constexpr int kRoot = 0;

// Seconds of the experts' products, [layers][devices]: a device's own, and what the slowest took
// longer, summed over steps.
struct ComputeSeconds {
  std::vector<std::vector<double>> own, idle;
};

// compute: of each device [steps * layers] CPU seconds of `threads` threads. All devices run the
// same steps.
ComputeSeconds compute_seconds(const std::vector<std::vector<float>>& compute, std::size_t layers,
                               int threads) {
  ComputeSeconds seconds;
  seconds.own.assign(layers, std::vector<double>(compute.size()));
  seconds.idle = seconds.own;
  for (std::size_t i = 0; !compute.empty() && i < compute[0].size(); ++i) {
    float slowest = 0;
    for (const auto& device : compute) slowest = std::max(slowest, device[i]);
    for (std::size_t d = 0; d < compute.size(); ++d) {
      seconds.own[i % layers][d] += static_cast<double>(compute[d][i]) / threads;
      seconds.idle[i % layers][d] += static_cast<double>(slowest - compute[d][i]) / threads;
    }
  }
  return seconds;
}

SentBytes sent(const TrafficBytes& bytes) {
  return {bytes.cross_node, bytes.intra_node};
}

LayerDeviceStatistics layer_statistics(const LayerCounters& c) {
  LayerDeviceStatistics s;
  s.load = c.entries;
  s.dispatch_payload = sent(c.dispatch_payload);
  s.combine_payload = sent(c.combine_payload);
  s.dispatch_metadata = sent(c.dispatch_metadata);
  s.combine_metadata = sent(c.combine_metadata);
  s.received_payload = c.dispatch_received + c.combine_received;
  s.cross_node_rows = c.cross_node_rows;
  s.rows_handed_over = c.rows_handed_over;
  s.messages = c.messages;
  s.dispatch_s = c.dispatch_seconds;
  s.combine_s = c.combine_seconds;
  return s;
}

std::int64_t resident_expert_bytes(const Deployment& deployment, int device) {
  std::int64_t experts = 0;
  for (std::size_t layer = 0; layer < deployment.plan().layers.size(); ++layer)
    experts += static_cast<std::int64_t>(
        deployment.plan().experts_on(static_cast<int>(layer), device).size());
  const ModelConfig& c = deployment.config();
  const CpuOptions& cpu = deployment.options().cpu;
  return experts * static_cast<std::int64_t>(2 * stored_bytes(cpu, c.expert_width, c.hidden) +
                                             stored_bytes(cpu, c.hidden, c.expert_width));
}

// Every rank's figures at root: [devices] each.
struct Gathered {
  std::vector<std::vector<LayerCounters>> counters;
  std::vector<std::vector<float>> compute;
  std::vector<std::vector<double>> layer_seconds;
  std::vector<std::vector<std::int64_t>> checkpoint_bytes;
  std::vector<std::vector<char>> hosts;
};

Gathered gather_figures(const Deployment& deployment, const std::string& host) {
  Transport& transport = deployment.transport();
  std::vector<double> layer_seconds = deployment.moe_times().layer_seconds;
  layer_seconds.resize(deployment.plan().layers.size());
  return {gather_vectors(transport, deployment.counters().layers, kRoot),
          gather_vectors(transport, deployment.moe_times().compute, kRoot),
          gather_vectors(transport, layer_seconds, kRoot),
          gather_vectors(transport, std::vector<std::int64_t>{deployment.checkpoint().bytes_used()},
                         kRoot),
          gather_vectors(transport, std::vector<char>(host.begin(), host.end()), kRoot)};
}

void fill_layers(const Gathered& all, const ComputeSeconds& seconds, RunStatistics& run) {
  for (std::size_t layer = 0; layer < run.layers.size(); ++layer) {
    for (std::size_t d = 0; d < all.counters.size(); ++d) {
      LayerDeviceStatistics s = layer_statistics(all.counters[d][layer]);
      s.moe_layer_s = all.layer_seconds[d][layer];
      s.expert_compute_s = seconds.own[layer][d];
      s.idle_s = seconds.idle[layer][d];
      run.layers[layer].push_back(s);
    }
  }
}

// A device's seconds are the sums of its layers'.
void fill_devices(const Deployment& deployment, const Gathered& all, RunStatistics& run) {
  for (std::size_t d = 0; d < all.counters.size(); ++d) {
    DeviceStatistics device;
    device.node = deployment.topology().node_of(static_cast<int>(d));
    device.host.assign(all.hosts[d].begin(), all.hosts[d].end());
    device.checkpoint_bytes_read = all.checkpoint_bytes[d][0];
    device.resident_expert_bytes = resident_expert_bytes(deployment, static_cast<int>(d));
    // The same in every layer, but fewer in a last one that computes wanted rows only.
    for (const LayerCounters& layer : all.counters[d])
      device.tokens = std::max(device.tokens, layer.tokens);
    for (const auto& layer : run.layers) {
      device.dispatch_s += layer[d].dispatch_s;
      device.combine_s += layer[d].combine_s;
      device.moe_layer_s += layer[d].moe_layer_s;
      device.expert_compute_s += layer[d].expert_compute_s;
      device.idle_s += layer[d].idle_s;
    }
    run.devices.push_back(std::move(device));
  }
}

void append_logprobs(const TokenLogprobs& one, std::vector<std::uint64_t>& flat) {
  flat.insert(flat.end(), {std::bit_cast<std::uint64_t>(one.chosen), one.ids.size()});
  for (std::size_t i = 0; i < one.ids.size(); ++i)
    flat.insert(flat.end(), {static_cast<std::uint64_t>(one.ids[i]),
                             std::bit_cast<std::uint64_t>(one.logprob[i])});
}

TokenLogprobs read_logprobs(std::vector<std::uint64_t>::const_iterator& at) {
  TokenLogprobs one{.chosen = std::bit_cast<double>(*at++)};
  for (std::uint64_t left = *at++; left > 0; --left) {
    one.ids.push_back(static_cast<int>(*at++));
    one.logprob.push_back(std::bit_cast<double>(*at++));
  }
  return one;
}

std::vector<std::pair<std::string, std::string>> settings_of(const Deployment& d) {
  return {{"model", d.model_name()},
          {"fingerprint", d.fingerprint()},
          {"plan", d.plan().preset},
          {"exchange", to_string(d.options().exchange)},
          {"reduction", to_string(d.options().reduction)},
          {"overlap", to_string(d.options().overlap)},
          {"intra", d.intra()},
          {"packing", d.packing()},
          {"even", d.even()},
          {"routing", to_string(d.options().routing)},
          {"topology", d.topology().to_string()},
          {"ranks", std::to_string(d.transport().size())},
          {"backend", d.backend().name()},
          {"threads", std::to_string(d.options().cpu.threads)}};
}

}  // namespace

Workload count_workload(const std::vector<Request>& requests,
                        const std::vector<Completion>& completions) {
  Workload w;
  w.prompts = static_cast<std::int64_t>(requests.size());
  for (const Request& r : requests) w.prompt_tokens += static_cast<std::int64_t>(r.prompt.size());
  for (const Completion& c : completions)
    w.generated_tokens += static_cast<std::int64_t>(c.tokens.size());
  return w;
}

RunStatistics collect_statistics(const Deployment& deployment, const RunTimes& times,
                                 const Workload& workload, const std::string& host) {
  Transport& transport = deployment.transport();
  const Gathered all = gather_figures(deployment, host);
  std::vector<double> slowest{times.end_to_end_s, times.prefill_s, times.decode_s};
  transport.max(slowest);
  RunStatistics run;
  run.settings = settings_of(deployment);
  run.machine = this_machine();
  run.workload = workload;
  run.end_to_end_s = slowest[0];
  run.prefill_s = slowest[1];
  run.decode_s = slowest[2];
  if (transport.rank() == kRoot) {
    run.layers.resize(deployment.plan().layers.size());
    fill_layers(all,
                compute_seconds(all.compute, run.layers.size(), deployment.options().cpu.threads),
                run);
    fill_devices(deployment, all, run);
  }
  return run;
}

std::vector<Completion> collect_completions(Transport& transport,
                                            std::span<const Completion> mine) {
  // Flat numbers a completion: id, reason, tokens, hashes, logprobs (counts first).
  std::vector<std::uint64_t> flat;
  for (const Completion& c : mine) {
    flat.insert(flat.end(), {c.id, static_cast<std::uint64_t>(c.reason), c.tokens.size(),
                             c.logit_hashes.size(), c.logprobs.size()});
    for (const int token : c.tokens) flat.push_back(static_cast<std::uint64_t>(token));
    flat.insert(flat.end(), c.logit_hashes.begin(), c.logit_hashes.end());
    for (const TokenLogprobs& one : c.logprobs) append_logprobs(one, flat);
  }
  std::vector<Completion> all;
  for (const auto& part : gather_vectors(transport, flat, kRoot)) {
    for (auto at = part.begin(); at != part.end();) {
      Completion c;
      c.id = *at++;
      c.reason = static_cast<FinishReason>(*at++);
      const auto tokens = static_cast<std::ptrdiff_t>(*at++);
      const auto hashes = static_cast<std::ptrdiff_t>(*at++);
      const auto logprobs = *at++;
      std::transform(at, at + tokens, std::back_inserter(c.tokens),
                     [](std::uint64_t token) { return static_cast<int>(token); });
      c.logit_hashes.assign(at + tokens, at + tokens + hashes);
      at += tokens + hashes;
      for (std::uint64_t i = 0; i < logprobs; ++i) c.logprobs.push_back(read_logprobs(at));
      all.push_back(std::move(c));
    }
  }
  std::sort(all.begin(), all.end(),
            [](const Completion& a, const Completion& b) { return a.id < b.id; });
  return all;
}

RoutingTrace collect_trace(const Deployment& deployment, const std::string& phase) {
  GM_CHECK(deployment.recorder() != nullptr, "this deployment does not record its routing");
  Transport& transport = deployment.transport();
  const RoutingRecorder::Rows& rows = deployment.recorder()->rows();
  const auto requests = gather_vectors(transport, rows.request, kRoot);
  const auto positions = gather_vectors(transport, rows.position, kRoot);
  const auto experts = gather_vectors(transport, rows.experts, kRoot);
  const auto weights = gather_vectors(transport, rows.weights, kRoot);
  std::vector<RoutingRecorder::Rows> parts;
  for (std::size_t i = 0; i < requests.size(); ++i)
    parts.push_back({requests[i], positions[i], experts[i], weights[i]});
  RoutingTrace trace;
  trace.model = deployment.model_name();
  trace.fingerprint = deployment.fingerprint();
  trace.phase = phase;
  trace.num_experts = deployment.config().experts;
  trace.top_k = deployment.config().top_k;
  trace.layers = static_cast<int>(deployment.config().moe_layers.size());
  fill_trace(parts, trace);
  return trace;
}

}  // namespace gracemoe
