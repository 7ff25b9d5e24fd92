#include "model/jinja/template.h"

#include "base/error.h"
#include "model/jinja/parser.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe::jinja {

struct Template::Impl {
  std::string name;
  Block block;
};

Template::Template(const std::string& source, std::string name) {
  if (first_invalid_utf8(source) != source.size())
    fail_input({name, "bytes that are not UTF-8", "UTF-8 text", "convert the template"});
  Block block = parse(source, name);
  impl_ = std::make_unique<const Impl>(Impl{std::move(name), std::move(block)});
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(const OrderedJson& variables) const {
  Scope given, root;
  root.around = &given;
  for (const auto& [name, value] : variables.items())
    given.values[name] = from_json(value, {impl_->name, 0});
  std::string out;
  Rendering rendering{.name = impl_->name, .root = &root, .scope = &root, .out = &out};
  render_block(impl_->block, rendering, 1);
  return out;
}

}  // namespace gracemoe::jinja
