// One function a subcommand: it adds itself to the program and sets what is to run.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

#include "cli/context.h"

namespace gracemoe {

// Set by the chosen subcommand's callback; run after parsing, so that parsing errors and run errors
// do not mix.
using Action = std::function<void(CliContext&)>;

void add_profile(CLI::App& app, Action& action);
void add_plan(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_calibrate(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);

}  // namespace gracemoe
