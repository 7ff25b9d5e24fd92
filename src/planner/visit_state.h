// A layer's experts on places (the nodes of a cluster, or the devices of a node) and what that
// costs: how many other places a token must visit, given the place where it arrives, and how evenly
// the work is spread. The hypergraph objective of method.md section 8, kept exact while single
// experts change their places.
//
// An expert has an instance on one or more places, one of them its main place. A token that arrives
// at place p is served by the instance on p, if there is one (and the stream is local), else by the
// main one; its cost is the sum of visit_cost[p][q] over the distinct other places q that serve it.
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "planner/token_bits.h"

namespace gracemoe {

// Tokens that arrive in the same way and ask for the same experts.
struct VisitStream {
  std::vector<double> share;  // [places] of all tokens, that arrive there; >= 0
  std::vector<char> takes;    // [experts] whether these experts of the tokens concern us
  bool local = true;          // an instance where the token arrives serves it
};

struct VisitProblem {
  const TokenBits* tokens = nullptr;  // not owned
  int top_k = 1;
  int places = 1;
  std::vector<VisitStream> streams;
  std::vector<double> visit_cost;  // [places, places] >= 0, in visits
  // [places] > 0 share of the work that a place should do; work / capacity is 1 on the mean place.
  std::vector<double> capacity;
  std::vector<int> max_experts;  // [places] instances that fit
  // Work is counted in (token, expert) pairs, or, if step_tokens > 0, in experts that a step of
  // that many tokens is expected to use.
  double step_tokens = 0;
  // Cost of balance, in visits per token: imbalance_cost a unit of max / mean, and kOverBound
  // instead beyond balance_bound.
  double balance_bound = 1.1;
  double imbalance_cost = 0;
  // [experts, places] visits per token that an instance there costs; empty: none. For plans that
  // should stay near an old one.
  std::vector<double> presence_cost;
};
constexpr double kOverBound = 20;

// An expert's instance added, removed, or both (moved), and where its main one is then.
struct Change {
  int expert = 0;
  int add = -1, remove = -1;  // place; -1: none
  int main = 0;               // place after the change
};

class VisitState {
 public:
  // instances: [experts][places], at least one each and none twice, the first is the main one.
  VisitState(const VisitProblem& problem, const std::vector<std::vector<int>>& instances);

  const VisitProblem& problem() const { return *problem_; }
  bool holds(int expert, int place) const { return holds_[at(expert, place)] != 0; }
  int main(int expert) const { return main_[static_cast<std::size_t>(expert)]; }
  int instances(int expert) const { return count_[static_cast<std::size_t>(expert)]; }
  int experts_on(int place) const { return size_[static_cast<std::size_t>(place)]; }
  int copies() const { return copies_; }
  // Main place first, the others rising.
  std::vector<std::vector<int>> instance_lists() const;

  double visits() const { return visits_; }  // expected cost per token, in visits
  // Expected on new text (token_bits.h).
  double max_over_mean() const { return max_over_mean(work_); }
  // What a search minimises: visits + balance + presence, per token.
  double cost() const { return visits_ + balance_ + presence_; }
  // Share of all (token, expert) pairs that are the expert's and served there.
  double flow(int expert, int place) const {
    return served_[at(expert, place)] * problem_->tokens->share(0, expert);
  }

  // cost() after the change minus cost() now. Cost: streams * places * tokens / 64 (or / 512).
  double delta(const Change& change) const { return delta(&change, nullptr); }
  // After both, of different experts.
  double delta(const Change& a, const Change& b) const { return delta(&a, &b); }
  void apply(const Change& change);

 private:
  struct Served {  // by which place, before and after
    int before, after;
  };
  std::size_t at(int expert, int place) const {
    return static_cast<std::size_t>(expert) * static_cast<std::size_t>(problem_->places) +
           static_cast<std::size_t>(place);
  }
  std::size_t pair(int stream, int arrival, int target) const {
    const auto p = static_cast<std::size_t>(problem_->places);
    return (static_cast<std::size_t>(stream) * p + static_cast<std::size_t>(arrival)) * p +
           static_cast<std::size_t>(target);
  }
  int served_by(const VisitStream& stream, int expert, int arrival) const {
    return stream.local && holds(expert, arrival) ? arrival : main(expert);
  }
  int served_after(const VisitStream& stream, const Change& change, int arrival) const;
  double visit_cost(int arrival, int target) const {
    return problem_->visit_cost[static_cast<std::size_t>(arrival) *
                                    static_cast<std::size_t>(problem_->places) +
                                static_cast<std::size_t>(target)];
  }
  BitRow none(std::size_t pair) const { return none_.data() + pair * words_; }
  BitRow one(std::size_t pair) const { return one_.data() + pair * words_; }

  double delta(const Change* a, const Change* b) const;
  double arrival_delta(int stream, int arrival, const Change& a, Served served_a, const Change* b,
                       Served served_b) const;
  double together(int stream, int arrival, std::pair<int, int> experts, Served served_a,
                  Served served_b) const;
  double visit_delta(const Change& a, const Change* b) const;
  double presence_delta(const Change& change) const;
  void add_work_delta(const Change& change, std::vector<double>& work) const;
  void set_served_after(const Change& change) const;  // into served_after_
  double work_of(double flow) const;
  double max_over_mean(std::span<const double> work) const;
  double balance_cost(std::span<const double> work) const;
  void count(std::size_t pair, int expert, bool add);
  void recount();

  const VisitProblem* problem_;
  std::size_t words_, planes_;
  std::vector<char> holds_;        // [experts, places]
  std::vector<int> main_, count_;  // [experts]
  std::vector<int> size_;          // [places]
  int copies_ = 0;
  std::vector<double> served_;  // [experts, places] part of the expert's tokens
  std::vector<double> work_;    // [views of the tokens, places]
  mutable std::vector<double> served_after_, work_after_;  // scratch: one thread uses a state
  mutable std::vector<double> ratio_;                      // [views] scratch
  double visits_ = 0, presence_ = 0, balance_ = 0;
  // Per (stream, arrival, target) and token, the number of its experts that target serves: as
  // binary digits [pairs, planes, words], and the tokens with none and with one [pairs, words].
  std::vector<std::uint64_t> digits_, none_, one_;
};

}  // namespace gracemoe
