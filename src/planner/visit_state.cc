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
    add_work_delta({e, -1, -1, main(e)}, work_);
    for (int place = 0; place < p.places; ++place) {
      served_[at(e, place)] = served_after_[static_cast<std::size_t>(place)];
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

void VisitState::set_served_after(const Change& change) const {
  served_after_.assign(static_cast<std::size_t>(problem_->places), 0);
  const auto expert = static_cast<std::size_t>(change.expert);
  for (const VisitStream& stream : problem_->streams) {
    if (stream.takes[expert] == 0) continue;
    for (int arrival = 0; arrival < problem_->places; ++arrival)
      served_after_[static_cast<std::size_t>(served_after(stream, change, arrival))] +=
          stream.share[static_cast<std::size_t>(arrival)];
  }
}

// Tokens of a step are taken as independent draws: an expert is used if any of them selects it.
double VisitState::work_of(double flow) const {
  if (!(problem_->step_tokens > 0)) return flow;
  return -std::expm1(-flow * problem_->step_tokens * problem_->top_k);
}

void VisitState::add_work_delta(const Change& change, std::vector<double>& work) const {
  set_served_after(change);
  const auto places = static_cast<std::size_t>(problem_->places);
  for (int view = 0; view < problem_->tokens->views(); ++view) {
    const double share = problem_->tokens->share(view, change.expert);
    double* of_view = work.data() + static_cast<std::size_t>(view) * places;
    for (std::size_t p = 0; p < places; ++p) {
      const double before = served_[at(change.expert, static_cast<int>(p))];
      if (served_after_[p] != before)
        of_view[p] += work_of(served_after_[p] * share) - work_of(before * share);
    }
  }
}

double VisitState::max_over_mean(std::span<const double> work) const {
  const auto places = static_cast<std::size_t>(problem_->places);
  ratio_.clear();
  for (std::size_t view = 0; view < work.size() / places; ++view) {
    double most = 0, sum = 0, capacity = 0;
    for (std::size_t p = 0; p < places; ++p) {
      const double done = work[view * places + p];
      most = std::max(most, done / problem_->capacity[p]);
      sum += done;
      capacity += problem_->capacity[p];
    }
    // Shares of pairs are relative to the mean by themselves, whatever part of them we see.
    if (problem_->step_tokens > 0) most = sum > 0 ? most * capacity / sum : 0;
    ratio_.push_back(most);
  }
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
  add_work_delta(change, work_);  // leaves served_after_
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
  std::copy(served_after_.begin(), served_after_.end(),
            served_.begin() + static_cast<std::ptrdiff_t>(at(e, 0)));
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
