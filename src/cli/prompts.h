// Where a batch of prompts comes from: the command line, a file, or pieces of texts.
#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/generation_options.h"
#include "model/tokenizer.h"
#include "runtime/request.h"

namespace gracemoe {

struct PromptArguments {
  std::vector<std::string> prompts;     // texts
  std::string file;                     // one prompt a line, or .jsonl (docs/generation.md)
  std::vector<std::string> from_texts;  // pieces of these
  int count = 16, length = 64;          // of the pieces
  int samples = 1;                      // of each prompt
  int logprobs = -1;                    // as Request::logprobs
  std::string chat_template;            // file; empty: the model's own
};

void add_prompt_arguments(CLI::App& command, PromptArguments& arguments);

// What a request is called in the output.
struct RequestName {
  std::int64_t index = 0;  // of its prompt
  int sample = -1;         // -1: the only one of its prompt
  std::string custom_id;
};

struct PromptBatch {
  std::vector<Request> requests;               // the same on every rank; ids 0, 1, ...
  std::vector<RequestName> names;              // [requests]; on rank 0 only
  int sample_vocab = 0;                        // the tokenizer's
  std::shared_ptr<const Tokenizer> tokenizer;  // the model's; on rank 0 only
};

// Collective: read on rank 0, the same on every rank. Errors are AgreedError and name file and
// line.
PromptBatch read_prompts(const PromptArguments& arguments, const GenerationSettings& settings,
                         const std::string& model, CliContext& context);

}  // namespace gracemoe
