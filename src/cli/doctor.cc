// gracemoe doctor: is this cluster fit to run on, and if not, what is to be done?
#include <fmt/core.h>

#include "base/clock.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/numbers.h"
#include "doctor/doctor_report.h"
#include "doctor/examine.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct DoctorArguments {
  std::string model, plan, topology, isa, json;
  int threads = 0;
  double seconds = 5, timeout = 60;
  bool quiet = false;
};

ExamineOptions examine_options(const DoctorArguments& a, CliContext& context) {
  ExamineOptions options;
  const int ranks_on_host = context.ranks_on_host();
  options.facts = {context.version(),
                   context.mpi_library(),
                   a.model,
                   a.plan,
                   a.isa,
                   a.threads > 0 ? a.threads : default_threads(ranks_on_host)};
  options.host = context.host();
  options.declared = !a.topology.empty();
  options.link_seconds = a.seconds;
  options.clock = wall_seconds;
  if (!a.quiet)
    options.announce = [](const std::string& doing) { fmt::print(stderr, "doctor: {}\n", doing); };
  return options;
}

void doctor(const DoctorArguments& a, CliContext& context) {
  context.start(a.topology, a.timeout, true);
  Transport& transport = context.transport();
  together(transport, [&] {
    if (context.root() && !a.json.empty()) require_writable(a.json);
  });
  const Examination examination =
      examine(examine_options(a, context), context.topology(), transport);
  std::vector<std::int64_t> code{0};
  together(transport, [&] {
    if (!context.root()) return;
    const std::vector<Finding> findings = judge(examination);
    fmt::print("{}", doctor_text(examination, findings, output_colour()));
    if (!a.json.empty()) write_file(a.json, doctor_json(examination, findings));
    code[0] = exit_code_of(findings);
  });
  transport.sum(code);
  context.end_with(static_cast<int>(code[0]));
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  auto a = std::make_shared<DoctorArguments>();
  CLI::App* command = app.add_subcommand(
      "doctor",
      "Under mpirun: check the cluster before use - nodes, cores, shared memory, links, clocks, "
      "versions, model and plan. Exit code 0: healthy, 1: warnings, 2: problems");
  command->add_option("--model", a->model, "Hugging Face model folder: is it the same everywhere?");
  command->add_option("--plan", a->plan, "plan file: does it fit?");
  command->add_option(
      "--topology", a->topology,
      "nodes x devices such as 2x2 (default: found from MPI's shared-memory domains)");
  command
      ->add_option("--isa", a->isa,
                   "avx2 | avx512 | avx512-bf16 (default: the best each machine has)")
      ->check(CLI::IsMember({"avx2", "avx512", "avx512-bf16"}));
  command
      ->add_option("--threads", a->threads,
                   "threads a rank (default: cores of the host / its ranks)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--seconds", a->seconds, "to measure links for, about (0: do not)")
      ->check(number_between(0, 600))
      ->capture_default_str();
  command
      ->add_option("--timeout", a->timeout,
                   "seconds after which a rank that cannot be reached ends the check (0: never)")
      ->check(number_from(0))
      ->capture_default_str();
  command->add_option("--json", a->json, "write everything found as JSON");
  command->add_flag("--quiet", a->quiet, "only the findings");
  command->callback([a, &action] { action = [a](CliContext& context) { doctor(*a, context); }; });
}

}  // namespace gracemoe
