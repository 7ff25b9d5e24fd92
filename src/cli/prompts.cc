#include "cli/prompts.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "cli/deployment_options.h"
#include "model/tokenizer.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {

void add_prompt_arguments(CLI::App& command, PromptArguments& a) {
  command.add_option("--prompt", a.prompts, "a prompt (repeat for more)");
  command.add_option("--prompts", a.file,
                     "file with one prompt a line, or .jsonl with \"prompt\" or \"tokens\"");
  command.add_option("--prompts-from", a.from_texts, "cut prompts out of these text files")
      ->delimiter(',');
  command.add_option("--num-prompts", a.count, "how many to cut")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--prompt-tokens", a.length, "tokens of each")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-tokens", a.max_tokens, "tokens to generate")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

namespace {

std::vector<int> prompt_of_json(const std::string& line, const std::string& name,
                                const Tokenizer& tokenizer) {
  const Json json = parse_json(line, name);
  const JsonObject object(json, name);
  if (!object.has("tokens")) return tokenizer.encode(object.text("prompt"), true);
  std::vector<int> ids;
  for (const Json& id : object.array("tokens")) {
    if (!id.is_number_integer() || id < 0 || id > 0x7fffffff)
      fail_input({name + ": tokens", id.dump(), "token ids, integers from 0", ""});
    ids.push_back(id.get<int>());
  }
  return ids;
}

std::vector<std::vector<int>> prompts_of_file(const std::string& file, const Tokenizer& tokenizer) {
  const bool json = std::filesystem::path(file).extension() == ".jsonl";
  std::vector<std::vector<int>> prompts;
  std::istringstream lines(read_file(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string name = file + ": line " + std::to_string(number);
    if (json && line.empty()) continue;
    prompts.push_back(json ? prompt_of_json(line, name, tokenizer) : tokenizer.encode(line, true));
    if (prompts.back().empty())
      fail_input(
          {name, "an empty prompt", "at least one token", "remove the line or give it a text"});
  }
  return prompts;
}

std::vector<Request> read_on_root(const PromptArguments& a, const Tokenizer& tokenizer) {
  const int sources =
      (a.prompts.empty() ? 0 : 1) + (a.file.empty() ? 0 : 1) + (a.from_texts.empty() ? 0 : 1);
  if (sources != 1)
    fail_usage({"prompts", std::to_string(sources) + " sources",
                "one of --prompt, --prompts, --prompts-from", ""});
  if (!a.from_texts.empty()) {
    std::vector<std::vector<int>> texts;
    for (const std::string& file : a.from_texts)
      texts.push_back(tokenizer.encode(read_file(file), false));
    return cut_prompts(texts, a.count, a.length, a.max_tokens);
  }
  std::vector<std::vector<int>> prompts;
  if (!a.file.empty()) prompts = prompts_of_file(a.file, tokenizer);
  for (const std::string& text : a.prompts) prompts.push_back(tokenizer.encode(text, true));
  if (prompts.empty()) fail_input({a.file, "no prompt", "at least one", ""});
  std::vector<Request> requests;
  for (auto& prompt : prompts)
    requests.push_back({requests.size(), std::move(prompt), a.max_tokens});
  return requests;
}

}  // namespace

std::vector<Request> read_prompts(const PromptArguments& a, const std::string& model,
                                  CliContext& context, int& sample_vocab) {
  std::vector<Request> requests;
  std::array<std::int64_t, 1> vocab{0};
  together(context.transport(), [&] {
    if (!context.root()) return;
    const Tokenizer tokenizer(std::filesystem::path(model) / "tokenizer.json");
    vocab[0] = tokenizer.vocab_size();
    requests = read_on_root(a, tokenizer);
  });
  context.transport().sum(vocab);  // only rank 0 has it
  sample_vocab = static_cast<int>(vocab[0]);
  return share_requests(requests, context.transport());
}

}  // namespace gracemoe
