#include "planner/spectral.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "planner/kmeans.h"

namespace gracemoe {
namespace {

double degree_within(const Affinity& affinity, int expert, std::span<const int> members) {
  double sum = 0;
  for (const int other : members)
    if (other != expert) sum += affinity.at(expert, other);
  return sum;
}

// I - D^(-1/2) A D^(-1/2) of members whose degrees are all positive.
Eigen::MatrixXd normalised_laplacian(const Affinity& affinity, std::span<const int> members) {
  const auto n = static_cast<Eigen::Index>(members.size());
  Eigen::VectorXd scale(n);
  for (Eigen::Index i = 0; i < n; ++i)
    scale[i] =
        1 / std::sqrt(degree_within(affinity, members[static_cast<std::size_t>(i)], members));
  Eigen::MatrixXd laplacian(n, n);
  for (Eigen::Index j = 0; j < n; ++j) {
    const auto row = affinity.row(members[static_cast<std::size_t>(j)]);
    for (Eigen::Index i = 0; i < n; ++i)
      laplacian(i, j) =
          i == j ? 1
                 : -scale[i] * scale[j] *
                       row[static_cast<std::size_t>(members[static_cast<std::size_t>(i)])];
  }
  return laplacian;
}

// Row-major [members, count]: the eigenvectors of the smallest eigenvalues, each row scaled to
// length 1.
std::vector<double> embedding(const Affinity& affinity, std::span<const int> members, int count) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(
      normalised_laplacian(affinity, members));
  GM_CHECK(solver.info() == Eigen::Success, "spectral clustering: no convergence");
  std::vector<double> points;
  points.reserve(members.size() * static_cast<std::size_t>(count));
  for (Eigen::Index i = 0; i < static_cast<Eigen::Index>(members.size()); ++i) {
    const auto row = solver.eigenvectors().row(i).head(count);
    const double length = row.norm();
    for (Eigen::Index d = 0; d < count; ++d) points.push_back(length > 0 ? row[d] / length : 0);
  }
  return points;
}

Groups even_stretches(std::span<const int> members, int count) {
  Groups groups;
  const std::size_t total = members.size();
  const auto parts = static_cast<std::size_t>(count);
  for (std::size_t g = 0; g < parts; ++g)
    groups.emplace_back(members.begin() + static_cast<std::ptrdiff_t>(g * total / parts),
                        members.begin() + static_cast<std::ptrdiff_t>((g + 1) * total / parts));
  return groups;
}

// Groups in order of their first member, the empty ones last.
void sort_groups(Groups& groups) {
  for (auto& group : groups) std::sort(group.begin(), group.end());
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
    if (a.empty() || b.empty()) return !a.empty() && b.empty();
    return a.front() < b.front();
  });
}

}  // namespace

Groups spectral_groups(const Affinity& affinity, std::span<const int> members, int count,
                       const SpectralOptions& options) {
  GM_CHECK(count >= 1, "spectral clustering: at least one group");
  std::vector<int> connected;
  std::vector<int> isolated;
  for (const int expert : members)
    (degree_within(affinity, expert, members) > 0 ? connected : isolated).push_back(expert);
  if (count == 1 || connected.empty()) return even_stretches(members, count);

  Groups groups(static_cast<std::size_t>(count));
  const int clusters = std::min(count, static_cast<int>(connected.size()));
  const std::vector<int> cluster =
      kmeans(embedding(affinity, connected, clusters), clusters,
             {.clusters = clusters, .restarts = options.restarts, .seed = options.seed});
  for (std::size_t i = 0; i < connected.size(); ++i)
    groups[static_cast<std::size_t>(cluster[i])].push_back(connected[i]);
  for (const int expert : isolated)
    std::min_element(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
      return a.size() < b.size();
    })->push_back(expert);
  sort_groups(groups);
  return groups;
}

}  // namespace gracemoe
