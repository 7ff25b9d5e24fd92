#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <system_error>

#include "base/error.h"
#include "cli/commands.h"
#include "runtime/together.h"

namespace {

// What an exception says to the user, and the exit code. `agreed`: every rank has it, so the job
// can end in order.
struct Failure {
  std::string message;
  int code = 1;
  bool agreed = false;
};

Failure describe(std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const gracemoe::AgreedError& error) {
    return {error.what(), error.exit_code(), true};
  } catch (const gracemoe::Error& error) {
    return {error.what(), error.exit_code(), false};
  } catch (const std::system_error& error) {  // fmt::print, where standard output cannot be written
    return {std::string("standard output: ") + error.what(), 2, false};
  } catch (const std::bad_alloc&) {
    return {"not enough memory", 2, false};
  } catch (const std::exception& error) {
    return {std::string("internal error: ") + error.what() + "; please report this", 1, false};
  }
}

// OpenMP's threads spin where they wait, unless told otherwise before the program starts: beside
// other work on the same cores that made two threads seven times slower than one. So the program
// starts itself once more, told to sleep; whoever sets OMP_WAIT_POLICY has the last word.
void start_again_with_sleeping_threads(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  std::error_code unreadable;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", unreadable);
  execv(self.c_str(), argv);  // where this fails, the run is only slower
}

int run(const gracemoe::Action& action) {
  gracemoe::CliContext context(GRACEMOE_VERSION);
  try {
    action(context);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      gracemoe::fail_output(
          {"standard output", "a write error", "", "is the disk full, or the reader gone?"});
    return context.exit_code();
  } catch (...) {
    const Failure failure = describe(std::current_exception());
    if (failure.agreed && !context.root()) return failure.code;
    const std::string where = failure.agreed ? "" : context.where();
    fmt::print(stderr, "gracemoe: {}{}{}\n", where, where.empty() ? "" : ": ", failure.message);
    std::fflush(stderr);
    return failure.agreed ? failure.code : context.abort(failure.code);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error that can be told
  start_again_with_sleeping_threads(argv);
  CLI::App app(
      "gracemoe runs sparse mixture-of-experts language models over several machines, losing "
      "nothing.",
      "gracemoe");
  app.set_version_flag("--version", "gracemoe " GRACEMOE_VERSION);
  app.require_subcommand(1);
  gracemoe::Action action;
  gracemoe::add_profile(app, action);
  gracemoe::add_plan(app, action);
  gracemoe::add_generate(app, action);
  gracemoe::add_eval(app, action);
  gracemoe::add_inspect(app, action);
  gracemoe::add_make_checkpoint(app, action);
  gracemoe::add_calibrate(app, action);
  gracemoe::add_evaluate(app, action);
  gracemoe::add_report(app, action);
  gracemoe::add_convert(app, action);
  gracemoe::add_chat(app, action);
  gracemoe::add_tokenize(app, action);
  gracemoe::add_bench(app, action);
  gracemoe::add_doctor(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(action);
}
