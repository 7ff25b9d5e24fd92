// Options that every subcommand with a running model has in common.
#pragma once
#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

#include "cli/context.h"
#include "runtime/batch_runner.h"
#include "runtime/deployment.h"

namespace gracemoe {

struct DeploymentArguments {
  std::string model, plan, topology, exchange = "hierarchical", reduction = "fp32", routing = "tar",
                                     overlap = "auto", intra = "auto", packing = "auto",
                                     even = "auto", backend = "cpu", isa, dense = "packed",
                                     weights = "bf16";
  int threads = 0;
  int max_rows = 512, max_sequences = 256;
  double timeout = 600, memory_gb = 0;
  bool quiet = false, round_weights = false;
};

// All but plan, exchange and routing.
void add_engine_arguments(CLI::App& command, DeploymentArguments& arguments);
void add_deployment_arguments(CLI::App& command, DeploymentArguments& arguments);
// Errors (kUsage): an unknown choice, or two that do not go together.
DeploymentOptions deployment_options(const DeploymentArguments& arguments, bool record_routing,
                                     int ranks_on_host);

// Error (kUsage) if a name that is not empty stands there twice.
void refuse_twice(const std::vector<std::string>& outputs);
// The same, and refuses files that cannot be written (empty names are skipped). For long work: ask
// before it starts. Collective.
void require_outputs(const std::vector<std::string>& outputs, CliContext& context);

// What a run holds at once on this rank beside the weights: as DeploymentOptions.
struct RunSize {
  std::int64_t cache_positions = 0;
  int logit_rows = 0;
};
RunSize size_of_run(std::span<const Request> mine, const RunOptions& options);

// Loads the model, and prints on rank 0 (standard error) the full configuration of the run.
// Collective.
std::unique_ptr<Deployment> deploy(const DeploymentArguments& arguments, bool record_routing,
                                   const RunSize& size, CliContext& context);
// For prompts of `window` tokens that are only read: what caches take at once.
std::int64_t reading_positions(const DeploymentArguments& arguments, int window);

// Cores of the host over its ranks; a rank that its launcher bound to some cores has these for
// itself.
int default_threads(int ranks_on_host);

RunOptions run_options(const DeploymentArguments& arguments);

// Token ids of each text file; read and encoded on rank 0, the same on every rank. Collective.
struct EncodedTexts {
  std::vector<std::vector<int>> texts;
  int tokenizer_vocab = 0;
};
EncodedTexts encode_texts(const std::vector<std::string>& files, const std::string& model,
                          CliContext& context);

// All of the requests as numbers: equal ones for equal requests.
std::vector<std::int64_t> flat_requests(std::span<const Request> requests);
// Rank 0's requests on every rank. Collective.
std::vector<Request> share_requests(const std::vector<Request>& requests, Transport& transport);

}  // namespace gracemoe
