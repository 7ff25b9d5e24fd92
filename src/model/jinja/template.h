// A template of the Jinja subset that chat templates are written in. Means what Jinja means by it
// under the settings chat templates are rendered with (trim_blocks, lstrip_blocks, tojson without
// escapes for other than ASCII); anything outside of the subset is an Error.
#pragma once
#include <memory>
#include <string>

#include "base/json.h"

namespace gracemoe::jinja {

class Template {
 public:
  // Statements: if elif else, for (with if and else), set (also of a namespace's attribute, and as
  // a block), macro, break, continue, generation. Filters, tests, methods: model/jinja/filters.cc,
  // tests.cc, methods.cc. Errors (kInput) tell `name` and the line.
  Template(const std::string& source, std::string name);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // The text for these variables (an object). Thread-safe. Errors (kInput): what Jinja refuses,
  // what the template itself refuses (raise_exception), and work far beyond a conversation's.
  std::string render(const OrderedJson& variables) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace gracemoe::jinja
