#include "model/detokenizer.h"

#include <utility>

#include "model/tokenizer/utf8.h"

namespace gracemoe {

std::string Detokenizer::push(int id) {
  if (skip_special_ && tokenizer_->is_special(id)) return "";
  pending_ += tokenizer_->token_bytes(id);
  const std::size_t certain = pending_.size() - incomplete_tail(pending_);
  std::string piece = replace_invalid_utf8(std::string_view(pending_).substr(0, certain));
  pending_.erase(0, certain);
  return piece;
}

std::string Detokenizer::finish() {
  return replace_invalid_utf8(std::exchange(pending_, {}));
}

}  // namespace gracemoe
