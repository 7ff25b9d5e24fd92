#include "cli/completions_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace gracemoe {

CompletionsFile::CompletionsFile(std::filesystem::path file, const std::string& key)
    : file_(std::move(file)), partial_(file_) {
  partial_ += ".partial";
  const std::string header = Json{{"run", key}}.dump();
  if (file_exists(partial_)) take_over(header);
  out_.reset(std::fopen(partial_.c_str(), "ab"));
  if (!out_) fail_writing();
  if (std::filesystem::file_size(partial_) == 0) append(header);
}

// Keeps whole lines only: the end of the file may be a line cut off by the end of its run.
void CompletionsFile::take_over(const std::string& header) {
  const std::string text = read_file(partial_);
  const std::size_t first = text.find('\n');
  if (first != text.npos && text.substr(0, first) != header)
    fail_input({partial_.string(), "completions of another run",
                "the same model, prompts and settings as now",
                "remove it to start anew, or give another --out"});
  const std::size_t end = text.rfind('\n');
  const std::size_t whole = end == text.npos ? 0 : end + 1;
  const auto lines =
      std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(whole), '\n');
  done_ = lines > 0 ? static_cast<std::uint64_t>(lines) - 1 : 0;
  if (whole == text.size()) return;
  std::error_code problem;
  std::filesystem::resize_file(partial_, whole, problem);
  if (problem)
    fail_output({partial_.string(), problem.message(), "a file that can be changed",
                 "change its rights, or give another --out"});
}

void CompletionsFile::fail_writing() const {
  fail_output({partial_.string(), std::strerror(errno), "a file that can be written",
               "free space or change its rights, or give another --out"});
}

void CompletionsFile::append(const std::string& line) {
  const std::string whole = line + "\n";
  if (std::fwrite(whole.data(), 1, whole.size(), out_.get()) != whole.size() ||
      std::fflush(out_.get()) != 0)
    fail_writing();
}

void CompletionsFile::add(std::uint64_t request, std::string line) {
  waiting_.emplace(request, std::move(line));
  for (auto next = waiting_.find(done_); next != waiting_.end(); next = waiting_.find(done_)) {
    append(next->second);
    waiting_.erase(next);
    ++done_;
  }
}

void CompletionsFile::finish() {
  GM_CHECK(waiting_.empty(), "completions are missing");
  out_.reset();
  const std::string text = read_file(partial_);
  write_file(file_, std::string_view(text).substr(text.find('\n') + 1));
  std::filesystem::remove(partial_);
}

}  // namespace gracemoe
