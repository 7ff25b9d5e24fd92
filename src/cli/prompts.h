// Where a batch of prompts comes from: the command line, a file, or pieces of texts.
#pragma once
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/context.h"
#include "runtime/request.h"

namespace gracemoe {

struct PromptArguments {
  std::vector<std::string> prompts;  // texts
  std::string file;  // one prompt a line, or .jsonl with "prompt" (text) or "tokens" (ids)
  std::vector<std::string> from_texts;  // pieces of these
  int count = 16, length = 64;          // of the pieces
  int max_tokens = 32;
};

void add_prompt_arguments(CLI::App& command, PromptArguments& arguments);

// Collective: read on rank 0, the same on every rank. Sets sample_vocab to the tokenizer's. Errors
// are AgreedError.
std::vector<Request> read_prompts(const PromptArguments& arguments, const std::string& model,
                                  CliContext& context, int& sample_vocab);

}  // namespace gracemoe
