#include "planner/kmeans.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  double next() { return unit_interval(hash_combine(seed_, counter_++)); }

 private:
  std::uint64_t seed_, counter_ = 0;
};

// One run from one seeding.
class Run {
 public:
  Run(std::span<const double> points, std::size_t dims, std::size_t clusters, std::uint64_t seed)
      : points_(points),
        dims_(dims),
        count_(points.size() / dims),
        clusters_(clusters),
        centres_(clusters * dims),
        cluster_(count_),
        draws_(seed) {}

  void go(int iterations) {
    seed_centres();
    assign();
    for (int i = 0; i < iterations; ++i) {
      fill_empty_clusters();
      move_centres();
      if (!assign()) break;
    }
    fill_empty_clusters();
    move_centres();
  }

  double cost() const {
    double sum = 0;
    for (std::size_t p = 0; p < count_; ++p) sum += distance(p, cluster_[p]);
    return sum;
  }
  std::vector<int> clusters() const { return {cluster_.begin(), cluster_.end()}; }

 private:
  double distance(std::size_t point, std::size_t centre) const {
    const double* a = points_.data() + point * dims_;
    const double* b = centres_.data() + centre * dims_;
    double sum = 0;
    for (std::size_t d = 0; d < dims_; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
  }

  void set_centre(std::size_t centre, std::size_t point) {
    std::copy_n(points_.data() + point * dims_, dims_, centres_.data() + centre * dims_);
  }

  // k-means++: each next centre is a point drawn in proportion to its squared distance from the
  // centres so far. Where all points lie on centres any point does; fill_empty_clusters() then
  // parts the coinciding ones.
  void seed_centres() {
    std::vector<double> nearest(count_, std::numeric_limits<double>::max());
    std::size_t chosen =
        std::min(count_ - 1, static_cast<std::size_t>(draws_.next() * static_cast<double>(count_)));
    for (std::size_t c = 0;; ++c) {
      set_centre(c, chosen);
      if (c + 1 == clusters_) return;
      double total = 0;
      for (std::size_t p = 0; p < count_; ++p)
        total += nearest[p] = std::min(nearest[p], distance(p, c));
      double left = draws_.next() * total;
      for (chosen = 0; chosen + 1 < count_ && left >= nearest[chosen]; ++chosen)
        left -= nearest[chosen];
    }
  }

  // True if a point changed its cluster.
  bool assign() {
    bool changed = false;
    for (std::size_t p = 0; p < count_; ++p) {
      std::size_t best = cluster_[p];
      double best_distance = distance(p, best);
      for (std::size_t c = 0; c < clusters_; ++c) {
        const double d = distance(p, c);
        if (d < best_distance) best = c, best_distance = d;
      }
      changed = changed || best != cluster_[p];
      cluster_[p] = best;
    }
    return changed;
  }

  // An empty cluster takes the point farthest from its centre, of clusters with more than one
  // point.
  void fill_empty_clusters() {
    std::vector<std::size_t> sizes(clusters_);
    for (const std::size_t c : cluster_) ++sizes[c];
    for (std::size_t c = 0; c < clusters_; ++c) {
      if (sizes[c] > 0) continue;
      std::size_t farthest = count_;
      double most = -1;
      for (std::size_t p = 0; p < count_; ++p) {
        if (sizes[cluster_[p]] < 2) continue;
        const double d = distance(p, cluster_[p]);
        if (d > most) farthest = p, most = d;
      }
      --sizes[cluster_[farthest]];
      ++sizes[c];
      cluster_[farthest] = c;
      set_centre(c, farthest);
    }
  }

  void move_centres() {
    std::fill(centres_.begin(), centres_.end(), 0.0);
    std::vector<double> sizes(clusters_);
    for (std::size_t p = 0; p < count_; ++p) {
      sizes[cluster_[p]] += 1;
      for (std::size_t d = 0; d < dims_; ++d)
        centres_[cluster_[p] * dims_ + d] += points_[p * dims_ + d];
    }
    for (std::size_t i = 0; i < centres_.size(); ++i) centres_[i] /= sizes[i / dims_];
  }

  std::span<const double> points_;
  std::size_t dims_, count_, clusters_;
  std::vector<double> centres_;       // [clusters, dims]
  std::vector<std::size_t> cluster_;  // [count]
  Draws draws_;
};

}  // namespace

std::vector<int> kmeans(std::span<const double> points, int dims, const KMeansOptions& options) {
  GM_CHECK(dims >= 1 && points.size() % static_cast<std::size_t>(dims) == 0, "kmeans: points");
  const auto width = static_cast<std::size_t>(dims);
  const auto clusters = static_cast<std::size_t>(options.clusters);
  GM_CHECK(options.clusters >= 1 && clusters <= points.size() / width, "kmeans: clusters");
  std::vector<int> best;
  double best_cost = std::numeric_limits<double>::infinity();
  for (int r = 0; r < std::max(1, options.restarts); ++r) {
    Run run(points, width, clusters, hash_combine(options.seed, static_cast<std::uint64_t>(r)));
    run.go(options.iterations);
    const double cost = run.cost();
    if (best.empty() || cost < best_cost) best = run.clusters(), best_cost = cost;
  }
  return best;
}

}  // namespace gracemoe
