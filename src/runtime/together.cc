#include "runtime/together.h"

#include <map>

namespace gracemoe {
namespace {

std::string join(const std::vector<int>& ranks, int size) {
  if (static_cast<int>(ranks.size()) == size) return "all ranks";
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i) text += (i ? ", " : "") + std::to_string(ranks[i]);
  return text;
}

}  // namespace

void together(Transport& transport, const std::function<void()>& phase) {
  std::string report;  // category as one character, then the message; empty: passed
  const auto note = [&](ErrorCategory category, const char* message) {
    report = static_cast<char>('0' + static_cast<int>(category)) + std::string(message);
  };
  try {
    phase();
  } catch (const Error& error) {
    if (transport.size() == 1) throw;
    note(error.category(), error.what());
  } catch (const std::bad_alloc&) {
    note(ErrorCategory::kInput,
         "not enough memory on this machine for this rank's share; free memory, or spread the "
         "model over more machines");
  } catch (const std::exception& error) {
    note(ErrorCategory::kInternal, error.what());
  }
  std::map<std::string, std::vector<int>> ranks_of;
  const std::vector<Bytes> reports = transport.gather(std::as_bytes(std::span(report)), 0);
  for (std::size_t rank = 0; rank < reports.size(); ++rank)
    if (!reports[rank].empty())
      ranks_of[{reinterpret_cast<const char*>(reports[rank].data()), reports[rank].size()}]
          .push_back(static_cast<int>(rank));
  std::string all;
  for (const auto& [text, ranks] : ranks_of) {
    if (all.empty())
      all = text.substr(0, 1);
    else
      all += "\n";
    all += (transport.size() > 1 ? join(ranks, transport.size()) + ": " : "") + text.substr(1);
  }
  const Bytes agreed = transport.broadcast(std::as_bytes(std::span(all)), 0);
  if (agreed.empty()) return;
  const std::string text(reinterpret_cast<const char*>(agreed.data()), agreed.size());
  throw AgreedError(static_cast<ErrorCategory>(text[0] - '0'), text.substr(1));
}

}  // namespace gracemoe
