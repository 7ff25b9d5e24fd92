// The file that completions go to, line by line in the order of the requests, as they are done. A
// run that was ended early goes on where it stood.
#pragma once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace gracemoe {

class CompletionsFile {
 public:
  // Opens FILE.partial beside `file`. What a run with the same key has left there is taken over,
  // without a line that was cut off. key: of everything that the lines depend on. Errors (kInput):
  // the partial file is another run's. kOutput: it cannot be written.
  CompletionsFile(std::filesystem::path file, const std::string& key);

  // Requests whose lines are there: 0 .. done()-1.
  std::uint64_t done() const { return done_; }
  // The line of a request, without its end; any order, written (and flushed) once all before it
  // are.
  void add(std::uint64_t request, std::string line);
  // All lines are there: FILE has them, and the partial file is gone.
  void finish();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void take_over(const std::string& header);
  void append(const std::string& line);
  [[noreturn]] void fail_writing() const;

  std::filesystem::path file_, partial_;
  std::unique_ptr<std::FILE, Close> out_;
  std::map<std::uint64_t, std::string> waiting_;
  std::uint64_t done_ = 0;
};

}  // namespace gracemoe
