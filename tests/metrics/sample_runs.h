// Hand-made runs whose derived figures can be worked out on paper.
#pragma once
#include <string>

#include "metrics/run_statistics.h"

namespace gracemoe {

// Two nodes x one device, two layers. Loads: layer 0 {6, 2}, layer 1 {4, 4}. Times scale with
// `seconds`.
inline RunStatistics sample_run(const std::string& name, double seconds = 8.0) {
  RunStatistics run;
  run.name = name;
  run.settings = {{"model", "tiny"}, {"exchange", "hierarchical"}, {"backend", "cpu"}};
  run.machine = {.cpu = "A CPU", .cores = 2, .memory_bytes = 4'000'000'000, .system = "Linux"};
  run.workload = {.prompts = 4, .prompt_tokens = 40, .generated_tokens = 16};
  run.end_to_end_s = seconds;
  run.prefill_s = seconds / 4;
  run.decode_s = seconds / 2;
  run.devices.resize(2);
  run.devices[0] = {.node = 0,
                    .host = "alpha",
                    .dispatch_s = seconds / 8,
                    .combine_s = seconds / 8,
                    .expert_compute_s = seconds / 16,
                    .idle_s = 0,
                    .moe_layer_s = seconds / 2,
                    .resident_expert_bytes = 1000,
                    .checkpoint_bytes_read = 1500,
                    .tokens = 30};
  run.devices[1] = run.devices[0];
  run.devices[1].node = 1;
  run.devices[1].host = "beta";
  run.devices[1].combine_s = seconds * 3 / 8;
  run.devices[1].idle_s = seconds / 16;
  run.devices[1].tokens = 26;

  run.layers.assign(2, std::vector<LayerDeviceStatistics>(2));
  run.layers[0][0].load = 6;
  run.layers[0][1].load = 2;
  run.layers[1][0].load = 4;
  run.layers[1][1].load = 4;
  run.layers[0][0].dispatch_payload = {.cross_node = 2'000'000, .intra_node = 100'000};
  run.layers[0][1].combine_payload = {.cross_node = 1'000'000, .intra_node = 0};
  run.layers[1][1].combine_payload = {.cross_node = 500'000, .intra_node = 200'000};
  run.layers[1][0].dispatch_metadata = {.cross_node = 64, .intra_node = 32};
  run.layers[1][1].combine_metadata = {.cross_node = 16, .intra_node = 8};
  run.layers[0][1].received_payload = 1'250'000;
  run.layers[0][0].cross_node_rows = 5;
  run.layers[1][1].cross_node_rows = 7;
  run.layers[1][0].rows_handed_over = 2;
  run.layers[0][0].messages = 3;
  run.layers[0][0].dispatch_s = seconds / 32;
  run.layers[1][1].idle_s = seconds / 64;
  return run;
}

}  // namespace gracemoe
