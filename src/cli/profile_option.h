// --profile FILE: where a run's time goes.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/context.h"
#include "runtime/batch_runner.h"

namespace gracemoe {

void add_profile_option(CLI::App& command, std::string& file);

// Records the spans of a run if `file` is not empty: begin() before the run, with its options,
// write() after it. Both are collective; write() writes the trace file and prints the table on
// standard error, on rank 0.
class RunProfile {
 public:
  explicit RunProfile(std::string file) : file_(std::move(file)) {}
  void begin(RunOptions& options);
  void write(CliContext& context);

 private:
  std::string file_;
  std::unique_ptr<SpanRecorder> recorder_;
};

}  // namespace gracemoe
