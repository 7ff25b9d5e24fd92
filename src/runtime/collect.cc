#include "runtime/collect.h"

#include <algorithm>
#include <map>

#include "runtime/together.h"

namespace gracemoe {
namespace {

constexpr int kRoot = 0;

// Per device: sum over (step, layer) of the slowest device's seconds less its own. All devices run
// the same steps and layers.
std::vector<double> idle_seconds(const std::vector<std::vector<float>>& compute) {
  std::vector<double> idle(compute.size(), 0.0);
  for (std::size_t i = 0; !compute.empty() && i < compute[0].size(); ++i) {
    float slowest = 0;
    for (const auto& device : compute) slowest = std::max(slowest, device[i]);
    for (std::size_t d = 0; d < compute.size(); ++d)
      idle[d] += static_cast<double>(slowest - compute[d][i]);
  }
  return idle;
}

SentBytes sent(const TrafficBytes& bytes) {
  return {bytes.cross_node, bytes.intra_node};
}

LayerDeviceStatistics layer_statistics(const LayerCounters& c) {
  return {c.entries,
          sent(c.dispatch_payload),
          sent(c.combine_payload),
          sent(c.dispatch_metadata),
          sent(c.combine_metadata),
          c.cross_node_rows,
          c.messages};
}

std::int64_t resident_expert_bytes(const Deployment& deployment, int device) {
  std::int64_t experts = 0;
  for (std::size_t layer = 0; layer < deployment.plan().layers.size(); ++layer)
    experts += static_cast<std::int64_t>(
        deployment.plan().experts_on(static_cast<int>(layer), device).size());
  const ModelConfig& c = deployment.config();
  return experts * 3 * c.expert_width * c.hidden * static_cast<std::int64_t>(sizeof(bf16));
}

// What is told of a device beside its counters, in a form that travels.
struct DeviceFigures {
  double moe_layer_s;
  std::int64_t checkpoint_bytes;
};

void fill_devices(const Deployment& deployment,
                  const std::vector<std::vector<LayerCounters>>& counters,
                  const std::vector<std::vector<float>>& compute,
                  const std::vector<std::vector<DeviceFigures>>& figures,
                  const std::vector<std::vector<char>>& hosts, RunStatistics& run) {
  const std::vector<double> idle = idle_seconds(compute);
  run.layers.resize(deployment.plan().layers.size());
  for (std::size_t d = 0; d < counters.size(); ++d) {
    DeviceStatistics device;
    device.node = deployment.topology().node_of(static_cast<int>(d));
    device.host.assign(hosts[d].begin(), hosts[d].end());
    device.idle_s = idle[d];
    for (const float seconds : compute[d]) device.expert_compute_s += static_cast<double>(seconds);
    device.moe_layer_s = figures[d][0].moe_layer_s;
    device.checkpoint_bytes_read = figures[d][0].checkpoint_bytes;
    device.resident_expert_bytes = resident_expert_bytes(deployment, static_cast<int>(d));
    for (std::size_t layer = 0; layer < counters[d].size(); ++layer) {
      const LayerCounters& c = counters[d][layer];
      device.dispatch_s += c.dispatch_seconds;
      device.combine_s += c.combine_seconds;
      device.tokens = c.tokens;  // the same in every layer
      run.layers[layer].push_back(layer_statistics(c));
    }
    run.devices.push_back(std::move(device));
  }
}

std::vector<std::pair<std::string, std::string>> settings_of(const Deployment& d) {
  return {{"model", d.model_name()},
          {"fingerprint", d.fingerprint()},
          {"plan", d.plan().preset},
          {"exchange", to_string(d.options().exchange)},
          {"reduction", to_string(d.options().reduction)},
          {"routing", to_string(d.options().routing)},
          {"topology", d.topology().to_string()},
          {"ranks", std::to_string(d.transport().size())},
          {"backend", d.backend().name()},
          {"threads", std::to_string(d.options().cpu.threads)}};
}

}  // namespace

RunStatistics collect_statistics(const Deployment& deployment, const RunTimes& times,
                                 const Workload& workload, const std::string& host) {
  Transport& transport = deployment.transport();
  const DeviceFigures mine{deployment.moe_times().layer_seconds,
                           deployment.checkpoint().bytes_used()};
  const auto counters = gather_vectors(transport, deployment.counters().layers, kRoot);
  const auto compute = gather_vectors(transport, deployment.moe_times().compute, kRoot);
  const auto figures = gather_vectors(transport, std::vector<DeviceFigures>{mine}, kRoot);
  const auto hosts = gather_vectors(transport, std::vector<char>(host.begin(), host.end()), kRoot);
  std::vector<double> slowest{times.end_to_end_s, times.prefill_s, times.decode_s};
  transport.max(slowest);
  RunStatistics run;
  run.settings = settings_of(deployment);
  run.machine = this_machine();
  run.workload = workload;
  run.end_to_end_s = slowest[0];
  run.prefill_s = slowest[1];
  run.decode_s = slowest[2];
  if (transport.rank() == kRoot) fill_devices(deployment, counters, compute, figures, hosts, run);
  return run;
}

std::vector<Completion> collect_completions(Transport& transport,
                                            const std::vector<Completion>& mine) {
  // Flat numbers a completion: id, reason, tokens, hashes (counts first).
  std::vector<std::uint64_t> flat;
  for (const Completion& c : mine) {
    flat.insert(flat.end(), {c.id, static_cast<std::uint64_t>(c.reason), c.tokens.size(),
                             c.logit_hashes.size()});
    for (const int token : c.tokens) flat.push_back(static_cast<std::uint64_t>(token));
    flat.insert(flat.end(), c.logit_hashes.begin(), c.logit_hashes.end());
  }
  std::vector<Completion> all;
  for (const auto& part : gather_vectors(transport, flat, kRoot)) {
    for (auto at = part.begin(); at != part.end();) {
      Completion c;
      c.id = *at++;
      c.reason = static_cast<FinishReason>(*at++);
      const auto tokens = static_cast<std::ptrdiff_t>(*at++);
      const auto hashes = static_cast<std::ptrdiff_t>(*at++);
      std::transform(at, at + tokens, std::back_inserter(c.tokens),
                     [](std::uint64_t token) { return static_cast<int>(token); });
      c.logit_hashes.assign(at + tokens, at + tokens + hashes);
      at += tokens + hashes;
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
