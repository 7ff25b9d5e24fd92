// gracemoe chat: a conversation in the terminal, alone or under mpirun. Rank 0 reads, and is home
// to every answer; the others take part in its steps.
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <thread>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/generation_options.h"
#include "model/chat_template.h"
#include "model/detokenizer.h"
#include "model/stop_texts.h"
#include "model/tokenizer.h"
#include "runtime/kept_cache.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct ChatArguments {
  DeploymentArguments deployment;
  GenerationArguments generation;
  std::string system, chat_template;
  std::optional<bool> thinking;
};

constexpr int kChatMaxTokens = 512;
// While the user types, rank 0 gives a sign of life so often, and the others sleep so long: no rank
// seems silent, and none burns its core. A turn begins that much later at most.
constexpr int kSignMilliseconds = 100;
constexpr std::chrono::milliseconds kSleep{95};

// Lines of standard input, waited for a little at a time.
class LineInput {
 public:
  enum class State { kWaiting, kLine, kEnd };
  // kLine: `line` has it.
  State wait(int milliseconds, std::string& line) {
    if (take(line)) return State::kLine;
    if (ended_) return State::kEnd;
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, milliseconds) <= 0) return State::kWaiting;
    char bytes[4096];
    const ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
    if (size > 0) {
      buffer_.append(bytes, static_cast<std::size_t>(size));
    } else {
      ended_ = true;
      if (!buffer_.empty()) buffer_ += '\n';  // a last line without its end
    }
    if (take(line)) return State::kLine;
    return ended_ ? State::kEnd : State::kWaiting;
  }

 private:
  bool take(std::string& line) {
    const std::size_t end = buffer_.find('\n');
    if (end == buffer_.npos) return false;
    line = buffer_.substr(0, end);
    if (line.ends_with('\r')) line.pop_back();
    buffer_.erase(0, end + 1);
    return true;
  }
  std::string buffer_;
  bool ended_ = false;
};

// What rank 0 tells the others: one byte.
enum class Signal : char { kWaiting = 'w', kTurn = 't', kEnd = 'e' };

Signal share_signal(Transport& transport, Signal signal) {
  const char byte = static_cast<char>(signal);
  const Bytes shared = transport.broadcast(std::as_bytes(std::span(&byte, 1)), 0);
  return static_cast<Signal>(shared.at(0));
}

// The conversation, on rank 0.
class Conversation {
 public:
  Conversation(const ChatArguments& a, const GenerationSettings& settings,
               const ModelConfig& config)
      : settings_(settings),
        config_(config),
        tokenizer_(Tokenizer::of_folder(a.deployment.model)),
        template_(ChatTemplate::of_folder(a.deployment.model, a.chat_template)),
        system_(a.system) {
    if (a.thinking) variables_["enable_thinking"] = *a.thinking;
    reset();
  }

  int vocab_size() const { return tokenizer_.vocab_size(); }

  void reset() {
    messages_ = OrderedJson::array();
    if (!system_.empty()) messages_.push_back({{"role", "system"}, {"content", system_}});
  }

  // What the user says, as the request for an answer. Errors leave the conversation as it was.
  Request ask(const std::string& text, std::uint64_t turn) {
    OrderedJson asked = messages_;
    asked.push_back({{"role", "user"}, {"content", text}});
    Request request;
    request.id = turn;
    request.stream = turn;
    request.prompt = tokenizer_.encode(template_.render(asked, true, variables_), false);
    const auto left = config_.max_positions - static_cast<std::int64_t>(request.prompt.size());
    request.max_new_tokens = static_cast<int>(std::min<std::int64_t>(settings_.max_tokens, left));
    if (left < 1)
      fail_input({"conversation", std::to_string(request.prompt.size()) + " tokens",
                  "less than the model's " + std::to_string(config_.max_positions) + " positions",
                  "/reset begins a new one"});
    request.sampling = settings_.sampling;
    request.stop = settings_.stop;
    check_requests({request}, config_.vocab, config_.max_positions);
    messages_ = std::move(asked);
    begin_answer();
    return request;
  }

  // Writes the next token's text; false where a stop text has come.
  bool say(int token) {
    write(watch_->push(detokenizer_->push(token)));
    return !watch_->stopped();
  }
  void end_answer() {
    write(watch_->push(detokenizer_->finish()));
    write(watch_->finish());
    fmt::print("\n");
    std::fflush(stdout);
    messages_.push_back({{"role", "assistant"}, {"content", answer_}});
  }

 private:
  void begin_answer() {
    answer_.clear();
    detokenizer_.emplace(tokenizer_, true);
    watch_.emplace(settings_.stop);
  }
  void write(const std::string& text) {
    if (text.empty()) return;
    answer_ += text;
    fmt::print("{}", text);
    std::fflush(stdout);
  }

  const GenerationSettings& settings_;
  const ModelConfig& config_;
  Tokenizer tokenizer_;
  ChatTemplate template_;
  std::string system_, answer_;
  OrderedJson variables_ = OrderedJson::object(), messages_;
  std::optional<Detokenizer> detokenizer_;
  std::optional<StopWatch> watch_;
};

// Rank 0's side of the terminal: turns lines into requests.
class Terminal {
 public:
  explicit Terminal(Conversation& conversation)
      : conversation_(conversation), typed_(isatty(STDIN_FILENO) != 0) {
    greet();
  }

  // Waits for so long at most; kTurn: `request` is what to answer.
  Signal wait(int milliseconds, Request& request) {
    std::string line;
    const LineInput::State state = input_.wait(milliseconds, line);
    if (state == LineInput::State::kWaiting) return Signal::kWaiting;
    if (state == LineInput::State::kEnd || line == "/exit") return Signal::kEnd;
    const bool asked = !line.empty() && (line[0] == '/' ? command(line) : ask(line, request));
    if (asked) return Signal::kTurn;
    prompt();
    return Signal::kWaiting;
  }
  void prompt() const {
    if (!typed_) return;
    fmt::print("> ");
    std::fflush(stdout);
  }

 private:
  void greet() const {
    if (typed_) fmt::print("/reset begins anew, /exit or end of input ends\n");
    prompt();
  }

  bool command(const std::string& line) {
    if (line == "/reset")
      conversation_.reset();
    else
      fmt::print(stderr, "'{}': got an unknown command, wanted /reset or /exit\n", line);
    return false;
  }

  bool ask(const std::string& line, Request& request) {
    try {
      request = conversation_.ask(line, turn_);
      ++turn_;
      return true;
    } catch (const Error& error) {  // the conversation goes on without this line
      if (error.category() != ErrorCategory::kInput) throw;
      fmt::print(stderr, "gracemoe: {}\n", error.what());
      return false;
    }
  }

  Conversation& conversation_;
  bool typed_;
  LineInput input_;
  std::uint64_t turn_ = 0;
};

// Collective: the next request, or nothing at the end.
std::optional<Request> next_request(Terminal* terminal, Transport& transport) {
  while (true) {
    std::vector<Request> request(terminal == nullptr ? 0 : 1);
    Signal signal = Signal::kWaiting;
    if (terminal != nullptr) {
      signal = terminal->wait(transport.size() > 1 ? kSignMilliseconds : -1, request[0]);
    }
    signal = share_signal(transport, signal);
    if (signal == Signal::kEnd) return std::nullopt;
    if (signal == Signal::kTurn) return share_requests(request, transport).at(0);
    if (terminal == nullptr) std::this_thread::sleep_for(kSleep);
  }
}

void chat(const ChatArguments& a, CliContext& context) {
  context.start(a.deployment.topology, a.deployment.timeout);
  Transport& transport = context.transport();
  // A model that one cannot talk to is refused before its weights are loaded.
  ModelConfig config;
  GenerationSettings settings;
  std::optional<Conversation> conversation;
  std::array<std::int64_t, 1> vocab{0};
  together(transport, [&] {
    config = read_model_config(a.deployment.model);
    settings = settle(a.generation, read_generation_config(a.deployment.model), kChatMaxTokens);
    if (!context.root()) return;
    conversation.emplace(a, settings, config);
    vocab[0] = conversation->vocab_size();
  });
  transport.sum(vocab);  // only rank 0 has it
  // At least one answer must fit.
  const auto deployment = deploy(
      a.deployment, false, context.root() ? RunSize{settings.max_tokens, 1} : RunSize{}, context);
  if (context.root() && !a.deployment.quiet) fmt::print(stderr, "{}\n", settings.text);

  RunOptions options = run_options(a.deployment);
  options.sample_vocab = static_cast<int>(vocab[0]);
  options.accept = [&](const Request&, int token) { return conversation->say(token); };
  options.evened = deployment->evened();
  KeptCache kept(deployment->model());
  options.begin_cache = [&](const Request& request, int positions) {
    return kept.begin(request, positions);
  };
  options.end_cache = [&](const Request& request, const Completion& completion, KvCache cache) {
    kept.end(request, completion, std::move(cache));
  };
  std::optional<Terminal> terminal;
  if (context.root()) terminal.emplace(*conversation);
  while (const auto request = next_request(terminal ? &*terminal : nullptr, transport)) {
    const std::span<const Request> mine(&*request, context.root() ? 1 : 0);
    RunTimes times;
    run_requests(deployment->model(), transport, mine, options, times);
    if (!context.root()) continue;
    conversation->end_answer();
    terminal->prompt();
  }
}

}  // namespace

void add_chat(CLI::App& app, Action& action) {
  auto a = std::make_shared<ChatArguments>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk to the model in the terminal, alone or under mpirun");
  add_deployment_arguments(*command, a->deployment);
  add_generation_arguments(*command, a->generation);
  command->add_option("--system", a->system, "what the model is told before all else");
  command->add_option("--template", a->chat_template,
                      "file with a chat template (default: the model's own)");
  command->add_option("--thinking", a->thinking,
                      "true | false: the template's enable_thinking (default: the template's)");
  command->callback([a, &action] { action = [a](CliContext& context) { chat(*a, context); }; });
}

}  // namespace gracemoe
