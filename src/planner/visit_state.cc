#include "planner/visit_state.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace gracemoe {

VisitState::VisitState(const VisitProblem& problem, const std::vector<std::vector<int>>& instances)
    : problem_(&problem),
      words_(static_cast<std::size_t>(problem.tokens->words())),
      planes_(std::bit_width(static_cast<unsigned>(problem.top_k))) {
  const auto n = static_cast<std::size_t>(problem.tokens->experts());
  const auto places = static_cast<std::size_t>(problem.places);
  for (const VisitStream& stream : problem.streams)
    for (const int home : stream.home)
      GM_CHECK(stream.home.size() == places && home >= 0 &&
                   (problem.tokens->homes() == 1 || home < problem.tokens->homes()),
               "visit state: the streams' homes are not the tokens'");
  GM_CHECK(instances.size() == n, "visit state: instances are not [experts]");
  holds_.assign(n * places, 0);
  size_.assign(places, 0);
  for (std::size_t e = 0; e < n; ++e) {
    GM_CHECK(!instances[e].empty(), "visit state: an expert without an instance");
    main_.push_back(instances[e].front());
    count_.push_back(static_cast<int>(instances[e].size()));
    copies_ += count_.back() - 1;
    for (const int place : instances[e]) {
      GM_CHECK(place >= 0 && place < problem.places && !holds(static_cast<int>(e), place),
               "visit state: no such place, or twice");
      holds_[at(static_cast<int>(e), place)] = 1;
      ++size_[static_cast<std::size_t>(place)];
    }
  }
  recount();
}

void VisitState::recount() {
  const VisitProblem& p = *problem_;
  const auto places = static_cast<std::size_t>(p.places);
  const std::size_t pairs = p.streams.size() * places * places;
  digits_.assign(pairs * planes_ * words_, 0);
  none_.assign(pairs * words_, ~std::uint64_t{0});
  one_.assign(pairs * words_, 0);
  served_.assign(holds_.size(), 0);
  work_.assign(places * static_cast<std::size_t>(p.tokens->views()), 0);
  for (int e = 0; e < p.tokens->experts(); ++e) {
    for (int place = 0; place < p.places; ++place) {
      const std::vector<double> own = work_on(e, place);
      for (std::size_t v = 0; v < own.size(); ++v)
        work_[static_cast<std::size_t>(place) * own.size() + v] += own[v];
    }
    const std::vector<double> served = served_shares({e, -1, -1, main(e)});
    for (int place = 0; place < p.places; ++place) {
      served_[at(e, place)] = served[static_cast<std::size_t>(place)];
      if (!p.presence_cost.empty() && holds(e, place)) presence_ += p.presence_cost[at(e, place)];
    }
    for (std::size_t s = 0; s < p.streams.size(); ++s)
      for (int arrival = 0; arrival < p.places; ++arrival) {
        const int target = served_by(p.streams[s], e, arrival);
        if (target != arrival && p.streams[s].takes[static_cast<std::size_t>(e)] != 0)
          count(pair(static_cast<int>(s), arrival, target), e, true);
      }
  }
  balance_ = balance_cost(work_);
  const double tokens = std::max(1.0, static_cast<double>(p.tokens->tokens()));
  const auto bits = static_cast<double>(words_ * 64);
  for (std::size_t i = 0; i < pairs; ++i) {
    const std::size_t arrival = i / places % places;
    const double visited = bits - static_cast<double>(count_bits(none(i), p.tokens->words()));
    visits_ += p.streams[i / places / places].share[arrival] *
               p.visit_cost[arrival * places + i % places] * visited / tokens;
  }
}

std::vector<std::vector<int>> VisitState::instance_lists() const {
  std::vector<std::vector<int>> lists(main_.size());
  for (std::size_t e = 0; e < main_.size(); ++e) {
    lists[e].push_back(main_[e]);
    for (int place = 0; place < problem_->places; ++place)
      if (place != main_[e] && holds(static_cast<int>(e), place)) lists[e].push_back(place);
  }
  return lists;
}

// Adds 1 to (or takes it from) the tokens' counts, binary digit by digit.
void VisitState::count(std::size_t pair, int expert, bool add) {
  BitRow row = problem_->tokens->row(expert);
  std::uint64_t* digits = digits_.data() + pair * planes_ * words_;
  std::uint64_t* none = none_.data() + pair * words_;
  std::uint64_t* one = one_.data() + pair * words_;
  const std::uint64_t flip = add ? 0 : ~std::uint64_t{0};
  for (std::size_t w = 0; w < words_; ++w) {
    std::uint64_t carry = row[w], higher = 0;
    for (std::size_t d = 0; d < planes_; ++d) {
      std::uint64_t& digit = digits[d * words_ + w];
      const std::uint64_t next = digit ^ carry;
      carry &= digit ^ flip;
      digit = next;
      if (d > 0) higher |= next;
    }
    none[w] = ~(digits[w] | higher);
    one[w] = digits[w] & ~higher;
  }
}

int VisitState::served_after(const VisitStream& stream, const Change& change, int arrival) const {
  const bool here =
      arrival == change.add || (arrival != change.remove && holds(change.expert, arrival));
  return stream.local && here ? arrival : change.main;
}

std::vector<double> VisitState::served_shares(const Change& change) const {
  std::vector<double> served(static_cast<std::size_t>(problem_->places));
  for (const VisitStream& stream : problem_->streams) {
    if (stream.takes[static_cast<std::size_t>(change.expert)] == 0) continue;
    for (int arrival = 0; arrival < problem_->places; ++arrival)
      served[static_cast<std::size_t>(served_after(stream, change, arrival))] +=
          stream.share[static_cast<std::size_t>(arrival)];
  }
  return served;
}

// Tokens of a step are taken as independent draws: an expert is used if any of them selects it.
double VisitState::work_of(double flow) const {
  if (!(problem_->step_tokens > 0)) return flow;
  return -std::expm1(-flow * problem_->step_tokens * problem_->top_k);
}

void VisitState::add_flow(std::vector<double>& of_places, int place, double share,
                          std::span<const double> load) const {
  double* flow = of_places.data() + static_cast<std::size_t>(place) * load.size();
  for (std::size_t v = 0; v < load.size(); ++v) flow[v] += share * load[v];
}

std::vector<double> VisitState::work_on(int expert, int place) const {
  std::vector<double> flow(static_cast<std::size_t>(problem_->tokens->views()));
  const TokenBits& tokens = *problem_->tokens;
  if (!(tokens.pairs() > 0)) return flow;
  for (const VisitStream& stream : problem_->streams)
    for (int arrival = 0; arrival < problem_->places; ++arrival) {
      const auto a = static_cast<std::size_t>(arrival);
      if (stream.takes[static_cast<std::size_t>(expert)] != 0 &&
          served_by(stream, expert, arrival) == place)
        add_flow(flow, 0, stream.share[a] / tokens.pairs(),
                 tokens.view_load(stream.home[a], expert));
    }
  for (double& f : flow) f = work_of(f);
  return flow;
}

// What leaves one place and joins another.
void VisitState::add_work_delta(const Change& change, std::vector<double>& work) const {
  if (problem_->step_tokens > 0) return add_used_experts(change, work);
  const TokenBits& tokens = *problem_->tokens;
  if (!(tokens.pairs() > 0)) return;
  for (const VisitStream& stream : problem_->streams) {
    if (stream.takes[static_cast<std::size_t>(change.expert)] == 0) continue;
    for (int arrival = 0; arrival < problem_->places; ++arrival) {
      const int before = served_by(stream, change.expert, arrival);
      const int after = served_after(stream, change, arrival);
      const auto a = static_cast<std::size_t>(arrival);
      if (before == after || !(stream.share[a] > 0)) continue;
      const auto load = tokens.view_load(stream.home[a], change.expert);
      add_flow(work, before, -stream.share[a] / tokens.pairs(), load);
      add_flow(work, after, stream.share[a] / tokens.pairs(), load);
    }
  }
}

void VisitState::add_used_experts(const Change& change, std::vector<double>& work) const {
  const TokenBits& tokens = *problem_->tokens;
  if (!(tokens.pairs() > 0)) return;
  flow_before_.assign(work.size(), 0);
  flow_after_.assign(work.size(), 0);
  for (const VisitStream& stream : problem_->streams) {
    if (stream.takes[static_cast<std::size_t>(change.expert)] == 0) continue;
    for (int arrival = 0; arrival < problem_->places; ++arrival) {
      const auto a = static_cast<std::size_t>(arrival);
      const auto load = tokens.view_load(stream.home[a], change.expert);
      const double share = stream.share[a] / tokens.pairs();
      add_flow(flow_before_, served_by(stream, change.expert, arrival), share, load);
      add_flow(flow_after_, served_after(stream, change, arrival), share, load);
    }
  }
  for (std::size_t i = 0; i < work.size(); ++i)
    if (flow_before_[i] != flow_after_[i])
      work[i] += work_of(flow_after_[i]) - work_of(flow_before_[i]);
}

double VisitState::max_over_mean(std::span<const double> work) const {
  const auto views = static_cast<std::size_t>(problem_->tokens->views());
  const bool relative = problem_->step_tokens > 0;
  ratio_.assign(views, 0);
  sum_.assign(views, 0);
  double capacity = 0;
  for (std::size_t p = 0; p < problem_->capacity.size(); ++p) {
    const double per_capacity = 1 / problem_->capacity[p];
    const double* done = work.data() + p * views;
    for (std::size_t v = 0; v < views; ++v) ratio_[v] = std::max(ratio_[v], done[v] * per_capacity);
    // Shares of pairs are relative to the mean by themselves, whatever part of them we see.
    for (std::size_t v = 0; relative && v < views; ++v) sum_[v] += done[v];
    capacity += problem_->capacity[p];
  }
  for (std::size_t v = 0; relative && v < views; ++v)
    ratio_[v] = sum_[v] > 0 ? ratio_[v] * capacity / sum_[v] : 0;
  return expected_on_new_text(ratio_);
}

double VisitState::balance_cost(std::span<const double> work) const {
  const double ratio = max_over_mean(work);
  return problem_->imbalance_cost * ratio +
         kOverBound * std::max(0.0, ratio - problem_->balance_bound);
}

double VisitState::presence_delta(const Change& change) const {
  if (problem_->presence_cost.empty()) return 0;
  double delta = 0;
  if (change.add >= 0) delta += problem_->presence_cost[at(change.expert, change.add)];
  if (change.remove >= 0) delta -= problem_->presence_cost[at(change.expert, change.remove)];
  return delta;
}

// Tokens newly visiting minus no longer visiting, at the targets that a (and b) leave and join. A
// token with both experts does not change where one leaves and the other joins.
double VisitState::arrival_delta(int stream, int arrival, const Change& a, Served served_a,
                                 const Change* b, Served served_b) const {
  const int words = problem_->tokens->words();
  const TokenBits& tokens = *problem_->tokens;
  double delta = 0;
  const auto counted = [&](bool join, int target, int expert, int other) {
    const std::size_t p = pair(stream, arrival, target);
    const BitRow state = join ? none(p) : one(p);
    const std::int64_t changed =
        other < 0 ? count_and(state, tokens.row(expert), words)
                  : count_and_not(state, tokens.row(expert), tokens.row(other), words);
    const double cost = visit_cost(arrival, target);
    delta += (join ? cost : -cost) * static_cast<double>(changed);
  };
  const auto moved = [&](const Change& x, Served at_x, int other, Served at_other) {
    if (at_x.before == at_x.after) return;
    if (at_x.before != arrival)
      counted(false, at_x.before, x.expert, at_other.after == at_x.before ? other : -1);
    if (at_x.after != arrival)
      counted(true, at_x.after, x.expert, at_other.before == at_x.after ? other : -1);
  };
  const bool b_moves = b != nullptr && served_b.before != served_b.after;
  const bool a_moves = served_a.before != served_a.after;
  const Served nowhere{-1, -1};
  moved(a, served_a, b_moves ? b->expert : -1, b_moves ? served_b : nowhere);
  if (!b_moves) return delta;
  moved(*b, served_b, a_moves ? a.expert : -1, a_moves ? served_a : nowhere);
  if (a_moves) delta -= together(stream, arrival, {a.expert, b->expert}, served_a, served_b);
  return delta;
}

// Of two experts that move: tokens with both, which the sum over the experts gets wrong where both
// leave the same target (and no third expert stays there), and where both join the same one.
double VisitState::together(int stream, int arrival, std::pair<int, int> experts, Served served_a,
                            Served served_b) const {
  const int words = problem_->tokens->words();
  const BitRow a = problem_->tokens->row(experts.first);
  const BitRow b = problem_->tokens->row(experts.second);
  double wrong = 0;
  if (served_a.before == served_b.before && served_a.before != arrival && planes_ > 1) {
    const std::uint64_t* digits =
        digits_.data() + pair(stream, arrival, served_a.before) * planes_ * words_;
    std::int64_t with_both = 0;
    for (std::size_t w = 0; w < words_; ++w) {
      std::uint64_t two = digits[words_ + w] & ~digits[w];
      for (std::size_t d = 2; d < planes_; ++d) two &= ~digits[d * words_ + w];
      with_both += std::popcount(two & a[w] & b[w]);
    }
    wrong += visit_cost(arrival, served_a.before) * static_cast<double>(with_both);
  }
  if (served_a.after == served_b.after && served_a.after != arrival) {
    const BitRow free = none(pair(stream, arrival, served_a.after));
    const std::int64_t with_both = count_and(free, a, words) - count_and_not(free, a, b, words);
    wrong += visit_cost(arrival, served_a.after) * static_cast<double>(with_both);
  }
  return wrong;
}

double VisitState::visit_delta(const Change& a, const Change* b) const {
  const VisitProblem& p = *problem_;
  const auto served = [&](const VisitStream& stream, const Change& change, int arrival) {
    if (stream.takes[static_cast<std::size_t>(change.expert)] == 0) return Served{arrival, arrival};
    return Served{served_by(stream, change.expert, arrival), served_after(stream, change, arrival)};
  };
  double delta = 0;
  for (std::size_t s = 0; s < p.streams.size(); ++s)
    for (int arrival = 0; arrival < p.places; ++arrival) {
      const double share = p.streams[s].share[static_cast<std::size_t>(arrival)];
      if (!(share > 0)) continue;
      const Served at_a = served(p.streams[s], a, arrival);
      const Served at_b =
          b == nullptr ? Served{arrival, arrival} : served(p.streams[s], *b, arrival);
      delta += share * arrival_delta(static_cast<int>(s), arrival, a, at_a, b, at_b);
    }
  return delta / std::max(1.0, static_cast<double>(p.tokens->tokens()));
}

double VisitState::delta(const Change* a, const Change* b) const {
  work_after_ = work_;
  add_work_delta(*a, work_after_);
  double sum = presence_delta(*a);
  if (b != nullptr) {
    add_work_delta(*b, work_after_);
    sum += presence_delta(*b);
  }
  return visit_delta(*a, b) + sum + balance_cost(work_after_) - balance_;
}

void VisitState::apply(const Change& change) {
  const VisitProblem& p = *problem_;
  const int e = change.expert;
  visits_ += visit_delta(change, nullptr);
  presence_ += presence_delta(change);
  add_work_delta(change, work_);
  const std::vector<double> served = served_shares(change);
  balance_ = balance_cost(work_);
  for (std::size_t s = 0; s < p.streams.size(); ++s) {
    if (p.streams[s].takes[static_cast<std::size_t>(e)] == 0) continue;
    for (int arrival = 0; arrival < p.places; ++arrival) {
      const int before = served_by(p.streams[s], e, arrival);
      const int after = served_after(p.streams[s], change, arrival);
      if (before == after) continue;
      if (before != arrival) count(pair(static_cast<int>(s), arrival, before), e, false);
      if (after != arrival) count(pair(static_cast<int>(s), arrival, after), e, true);
    }
  }
  std::copy(served.begin(), served.end(), served_.begin() + static_cast<std::ptrdiff_t>(at(e, 0)));
  const auto resize = [&](int place, int by) {
    holds_[at(e, place)] = by > 0 ? 1 : 0;
    size_[static_cast<std::size_t>(place)] += by;
    count_[static_cast<std::size_t>(e)] += by;
    copies_ += by;
  };
  if (change.add >= 0) resize(change.add, 1);
  if (change.remove >= 0) resize(change.remove, -1);
  main_[static_cast<std::size_t>(e)] = change.main;
}

}  // namespace gracemoe
