#include "cli/prompts.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "cli/deployment_options.h"
#include "cli/prompt_line.h"
#include "model/tokenizer.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {

void add_prompt_arguments(CLI::App& command, PromptArguments& a) {
  command.add_option("--prompt", a.prompts, "a prompt (repeat for more)");
  command.add_option("--prompts", a.file,
                     "file with one prompt a line, or .jsonl with \"prompt\", \"messages\" or "
                     "\"tokens\" and a line's own settings");
  command.add_option("--prompts-from", a.from_texts, "cut prompts out of these text files")
      ->delimiter(',');
  command.add_option("--num-prompts", a.count, "how many to cut")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--prompt-tokens", a.length, "tokens of each")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--n", a.samples, "completions of each prompt")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--logprobs", a.logprobs,
                  "add to each token its log probability, and those of so many likeliest")
      ->check(CLI::Range(0, kMaxLogprobs));
  command.add_option("--template", a.chat_template,
                     "chat template for \"messages\" (default: the model's own)");
}

namespace {

std::vector<PromptLine> lines_of_file(const std::string& file, PromptLineReader& reader) {
  const bool json = std::filesystem::path(file).extension() == ".jsonl";
  std::vector<PromptLine> prompts;
  std::istringstream lines(read_file(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string name = file + ": line " + std::to_string(number);
    if (json && line.empty()) continue;
    prompts.push_back(json ? reader.read(line, name) : reader.of_text(line));
    if (prompts.back().request.prompt.empty())
      fail_input(
          {name, "an empty prompt", "at least one token", "remove the line or give it a text"});
  }
  return prompts;
}

std::vector<PromptLine> cut_lines(const PromptArguments& a, const Tokenizer& tokenizer,
                                  const PromptLine& otherwise) {
  std::vector<std::vector<int>> texts;
  for (const std::string& file : a.from_texts)
    texts.push_back(tokenizer.encode(read_file(file), false));
  std::vector<PromptLine> lines;
  for (Request& request : cut_prompts(texts, a.count, a.length, otherwise.request.max_new_tokens)) {
    lines.push_back(otherwise);
    lines.back().request.prompt = std::move(request.prompt);
  }
  return lines;
}

std::vector<PromptLine> read_on_root(const PromptArguments& a, const GenerationSettings& settings,
                                     const std::string& model, const Tokenizer& tokenizer) {
  const int sources =
      (a.prompts.empty() ? 0 : 1) + (a.file.empty() ? 0 : 1) + (a.from_texts.empty() ? 0 : 1);
  if (sources != 1)
    fail_usage({"prompts", std::to_string(sources) + " sources",
                "one of --prompt, --prompts, --prompts-from", "give exactly one of them"});
  PromptLine otherwise{.samples = a.samples};
  otherwise.request.max_new_tokens = settings.max_tokens;
  otherwise.request.sampling = settings.sampling;
  otherwise.request.stop = settings.stop;
  otherwise.request.logprobs = a.logprobs;
  if (!a.from_texts.empty()) return cut_lines(a, tokenizer, otherwise);
  PromptLineReader reader(tokenizer, model, a.chat_template, otherwise);
  std::vector<PromptLine> lines;
  if (!a.file.empty()) lines = lines_of_file(a.file, reader);
  for (const std::string& text : a.prompts) lines.push_back(reader.of_text(text));
  if (lines.empty()) fail_input({a.file, "no prompt", "at least one", "write one prompt a line"});
  return lines;
}

// A request for each sample of each line.
void add_requests(std::vector<PromptLine> lines, PromptBatch& batch) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const PromptLine& line = lines[i];
    for (int sample = 0; sample < line.samples; ++sample) {
      Request request = line.request;
      request.id = batch.requests.size();
      request.stream = line.own_seed ? static_cast<std::uint64_t>(sample) : request.id;
      batch.requests.push_back(std::move(request));
      batch.names.push_back(
          {static_cast<std::int64_t>(i), line.samples == 1 ? -1 : sample, line.custom_id});
    }
  }
}

}  // namespace

PromptBatch read_prompts(const PromptArguments& a, const GenerationSettings& settings,
                         const std::string& model, CliContext& context) {
  PromptBatch batch;
  std::array<std::int64_t, 1> vocab{0};
  together(context.transport(), [&] {
    if (!context.root()) return;
    batch.tokenizer = std::make_shared<const Tokenizer>(Tokenizer::of_folder(model));
    vocab[0] = batch.tokenizer->vocab_size();
    add_requests(read_on_root(a, settings, model, *batch.tokenizer), batch);
  });
  context.transport().sum(vocab);  // only rank 0 has it
  batch.sample_vocab = static_cast<int>(vocab[0]);
  batch.requests = share_requests(batch.requests, context.transport());
  return batch;
}

}  // namespace gracemoe
