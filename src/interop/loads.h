// What the statistics files of all systems say in common: how many tokens chose each expert; and
// tokens with the experts they chose, where a file has them.
#pragma once
#include <string>
#include <vector>

#include "interop/layer_numbers.h"
#include "trace/routing_trace.h"
#include "trace/statistics.h"

namespace gracemoe {

struct Loads {
  RoutingStatistics statistics;  // top_k 0: unknown
  LayerNumbers numbers;
  int devices = 0, nodes = 0;  // of the cluster they were taken on; 0: unknown
};

struct Tokens {
  RoutingTrace trace;
  LayerNumbers numbers;
};

// Loads of `rows` [hidden layers][experts], one list a layer: without a choice, layers without any
// count are taken for dense ones and left out. Errors (kInput): rows of several lengths, no row, no
// count at all, more experts than 65535.
Loads loads_of_all_layers(const std::vector<std::vector<double>>& rows, const LayerChoice& choice,
                          const std::string& name);
// Loads of `rows` [MoE layers][experts].
Loads loads_of_moe_layers(const std::vector<std::vector<double>>& rows, const std::string& name);

// Adds b to a. Error (kInput) if they have not the same layers and experts.
void add_loads(Loads& a, const Loads& b, const std::string& name_of_b);

// Statistics files hold whole numbers: loads that are not are multiplied by a power of ten such
// that the largest is at least 10^6, then rounded; only their proportions are kept. Returns the
// factor; 1 where nothing was done.
double make_whole(RoutingStatistics& statistics);

}  // namespace gracemoe
