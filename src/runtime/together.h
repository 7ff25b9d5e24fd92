// Start-up phases that every rank must pass, or all stop with one message.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "exchange/transport.h"

namespace gracemoe {

// An error that all ranks know of: rank 0 reports it, and the job can end in order.
class AgreedError : public Error {
 public:
  using Error::Error;
};

// Collective. Runs `phase` on every rank; if it throws anywhere, every rank throws AgreedError with
// the ranks' messages (equal ones told once).
void together(Transport& transport, const std::function<void()>& phase);

// Each rank's elements at root, in rank order (empty elsewhere). Collective.
template <typename T>
std::vector<std::vector<T>> gather_vectors(Transport& transport, const std::vector<T>& values,
                                           int root) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<std::vector<T>> parts;
  for (const Bytes& bytes : transport.gather(std::as_bytes(std::span(values)), root)) {
    std::vector<T> part(bytes.size() / sizeof(T));
    std::copy_n(bytes.begin(), part.size() * sizeof(T), reinterpret_cast<std::byte*>(part.data()));
    parts.push_back(std::move(part));
  }
  return parts;
}

}  // namespace gracemoe
