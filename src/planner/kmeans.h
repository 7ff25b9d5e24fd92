// k-means with k-means++ seeding and restarts; deterministic for a seed.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace gracemoe {

struct KMeansOptions {
  int clusters = 1;
  int restarts = 10;
  int iterations = 100;  // at most, a restart
  std::uint64_t seed = 0;
};

// points: row-major [count, dims], count >= clusters >= 1. Returns the cluster of every point, from
// the restart with the least sum of squared distances; no cluster is empty, even where points
// coincide. Cost: restarts * iterations * count * clusters * dims.
std::vector<int> kmeans(std::span<const double> points, int dims, const KMeansOptions& options);

}  // namespace gracemoe
