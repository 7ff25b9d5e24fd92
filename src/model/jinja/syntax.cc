#include "model/jinja/syntax.h"

namespace gracemoe::jinja {
namespace {

// A step counts as much as 64 bytes. A conversation of a megabyte needs some ten million.
constexpr std::int64_t kStep = 64;
constexpr std::int64_t kMaxWork = std::int64_t{1} << 27;

}  // namespace

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->around) {
    const auto found = scope->values.find(name);
    if (found != scope->values.end()) return &found->second;
  }
  return nullptr;
}

void Rendering::spend(std::int64_t amount, int line) {
  work += amount < kMaxWork ? amount : kMaxWork;
  if (work >= kMaxWork)
    fail_at(at(line), "rendering", "far more work than a conversation needs",
            "a template that comes to an end", "");
}

Value Expression::evaluate(Rendering& r) const {
  r.spend(kStep, line_);
  r.enter(line_);
  Value value = compute(r);
  --r.depth;
  return value;
}

void Rendering::enter(int line) {
  if (++depth > kMaxRenderDepth)
    fail_at(at(line), "expressions, blocks and macros in each other",
            "more than " + std::to_string(kMaxRenderDepth), "fewer");
}

Flow render_block(const Block& block, Rendering& r, int line) {
  r.enter(line);
  Flow flow = Flow::kNext;
  for (const StatementPtr& statement : block) {
    flow = statement->render(r);
    if (flow != Flow::kNext) break;
  }
  --r.depth;
  return flow;
}

}  // namespace gracemoe::jinja
