// Generation as its users ask for it: settings, files of requests, conversations, tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kSource = GRACEMOE_SOURCE_DIR;
const std::string kModel = kSource + "/models/gracemoe-demo";
using Args = std::vector<std::string>;

Args program(Args args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return args;
}

// The program with a text as its standard input.
ProcessResult run_with_input(const TempDir& folder, const std::string& input, const Args& argv) {
  write_file(folder / "input", input);
  Args shell{"sh", "-c", "\"$@\" < " + (folder / "input").string(), "sh"};
  shell.insert(shell.end(), argv.begin(), argv.end());
  return run_process(shell);
}

std::vector<Json> json_lines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

Args answers_to(const std::string& prompts, const std::string& out, Args more = {}) {
  Args args{"generate", "--quiet", "--model", kModel, "--prompts", prompts, "--out", out};
  args.insert(args.end(), more.begin(), more.end());
  return program(args);
}

std::vector<Json> completions(const TempDir& folder, const std::string& requests, Args more = {},
                              int ranks = 1) {
  write_file(folder / "requests.jsonl", requests);
  Args run = answers_to(folder / "requests.jsonl", folder / "out.jsonl", std::move(more));
  if (ranks > 1) run = under_mpirun(ranks, run);
  const ProcessResult result = run_process(run);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return json_lines(read_file(folder / "out.jsonl"));
}

std::string refusal(const std::string& line) {
  const TempDir folder;
  write_file(folder / "requests.jsonl", "{\"prompt\": \"a\"}\n" + line + "\n");
  const ProcessResult result =
      run_process(answers_to(folder / "requests.jsonl", folder / "out.jsonl"));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder / "out.jsonl"));
  return result.err;
}

const std::string kRequests =
    R"({"prompt": "The table", "max_tokens": 6, "custom_id": "first"}
{"prompt": "Once upon", "max_tokens": 9, "temperature": 0.9, "seed": 5, "n": 3}
{"tokens": [5, 6, 7], "max_tokens": 4, "logprobs": 2}

{"prompt": "The table", "max_tokens": 40, "stop": ["uted by", "zzz"]}
{"prompt": "The table", "max_tokens": 20, "frequency_penalty": 2.0, "repetition_penalty": 1.3}
{"prompt": "Once upon", "max_tokens": 9, "temperature": 0.9, "seed": 5}
)";

TEST(RequestFile, LinesHaveTheirOwnSettings) {
  const TempDir folder;
  const std::vector<Json> lines = completions(folder, kRequests);
  ASSERT_EQ(lines.size(), 8U);
  EXPECT_EQ(lines[0]["custom_id"], "first");
  EXPECT_EQ(lines[0]["tokens"].size(), 6U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(lines[1 + i]["index"], 1);
    EXPECT_EQ(lines[1 + i]["sample"], i);
  }
  EXPECT_NE(lines[1]["tokens"], lines[2]["tokens"]);
  EXPECT_EQ(lines[7]["tokens"], lines[1]["tokens"]) << "the same seed, wherever the line stands";
  ASSERT_EQ(lines[4]["logprobs"].size(), 4U);
  const Json& first = lines[4]["logprobs"][0];
  EXPECT_EQ(first["id"], lines[4]["tokens"][0]);
  EXPECT_EQ(first["top"].size(), 2U);
  EXPECT_EQ(first["top"][0]["logprob"], first["logprob"]) << "greedy takes the likeliest";
  EXPECT_EQ(lines[5]["finish_reason"], "stop");
  EXPECT_THAT(lines[5]["text"].get<std::string>(), testing::EndsWith("(Contrib"));
  EXPECT_LT(lines[5]["tokens"].size(), 40U);
  EXPECT_NE(lines[6]["text"], lines[0]["text"]);
}

TEST(RequestFile, TheSameOnAnyNumberOfRanks) {
  const TempDir folder;
  const std::vector<Json> one = completions(folder, kRequests);
  EXPECT_EQ(completions(folder, kRequests, {"--reduction", "exact"}, 2), one);
  EXPECT_EQ(completions(folder, kRequests, {"--topology", "2,1", "--reduction", "exact"}, 3), one);
}

TEST(RequestFile, ARunGoesOnWhereAnotherWasEnded) {
  const TempDir folder;
  write_file(folder / "requests.jsonl", kRequests);
  const std::string out = folder / "out.jsonl", partial = out + ".partial";
  const Args run = answers_to(folder / "requests.jsonl", out);
  ASSERT_EQ(run_process(run).exit_code, 0);
  const std::string whole = read_file(out);
  EXPECT_FALSE(std::filesystem::exists(partial));
  // As if it had been killed while it wrote the fourth line. The header comes from a run that is.
  ASSERT_EQ(run_process(answers_to(folder / "requests.jsonl", out, {"--show", "0"})).exit_code, 0);
  Args killed = run;
  killed.insert(killed.begin(), {"sh", "-c",
                                 "\"$@\" & p=$!; while ! test -s " + partial +
                                     "; do kill -0 $p || exit 3; done; kill -9 $p; wait $p; true",
                                 "sh"});
  const ProcessResult killing = run_process(killed);
  ASSERT_EQ(killing.exit_code, 0) << killing.err;
  ASSERT_TRUE(std::filesystem::exists(partial));
  const std::string header = read_file(partial).substr(0, read_file(partial).find('\n') + 1);
  std::size_t third = 0;
  for (int i = 0; i < 3; ++i) third = whole.find('\n', third) + 1;
  const std::string marked = "{\"kept\": 0}\n{\"kept\": 1}\n{\"kept\": 2}\n";
  write_file(partial, header + marked + whole.substr(third, 20));
  const ProcessResult again = run_process(run);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_file(out), marked + whole.substr(third)) << "three lines were not run again";
  EXPECT_FALSE(std::filesystem::exists(partial));

  write_file(partial, header + marked);
  const ProcessResult other =
      run_process(answers_to(folder / "requests.jsonl", out, {"--frequency-penalty", "0.5"}));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("completions of another run"), HasSubstr("remove it")));
}

TEST(RequestFile, RefusesWhatItCannotFollow) {
  EXPECT_THAT(refusal(R"({"prompt": "a", "temprature": 1})"),
              AllOf(HasSubstr("requests.jsonl: line 2"), HasSubstr("'temprature'")));
  EXPECT_THAT(refusal(R"({"prompt": "a", "temperature": -1})"),
              AllOf(HasSubstr("line 2: temperature: got -1"), HasSubstr("0 (greedy) or more")));
  EXPECT_THAT(refusal(R"({"prompt": "a", "max_tokens": 0})"), HasSubstr("max_tokens: got 0"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "stop": [1]})"), HasSubstr("line 2: stop: got 1"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "stop": ""})"), HasSubstr("line 2: stop: got \"\""));
  EXPECT_THAT(refusal(R"({"prompt": "a", "n": 0})"), HasSubstr("line 2: n: got 0"));
  EXPECT_THAT(refusal(R"({"prompt": "a", "tokens": [1]})"), HasSubstr("line 2: got 2 prompts"));
  EXPECT_THAT(refusal(R"({"prompt": "a")"), HasSubstr("line 2: not valid JSON"));
  EXPECT_THAT(refusal(R"({"max_tokens": 3})"), HasSubstr("line 2: prompt: got nothing"));
  EXPECT_THAT(refusal(R"({"messages": [{"role": "user", "content": "a"}]})"),
              AllOf(HasSubstr("line 2: "), HasSubstr("no chat template")));
}

TEST(RequestFile, MessagesGoThroughTheTemplate) {
  const TempDir folder;
  write_file(folder / "t.jinja", std::string_view("{% for m in messages %}{{ m.content }}"
                                                  "{% endfor %}{% if hard %}!{% endif %}"));
  const std::vector<Json> lines =
      completions(folder,
                  R"({"messages": [{"role": "user", "content": "The table"}], "max_tokens": 3}
{"messages": [{"role": "user", "content": "The table"}], "max_tokens": 3, "chat_template_kwargs": {"hard": true}}
)",
                  {"--template", folder / "t.jinja"});
  EXPECT_EQ(lines[0]["prompt"], "The table");
  EXPECT_EQ(lines[1]["prompt"], "The table!");
}

TEST(Settings, ComeFromTheModelUnlessTheCommandLineSaysOtherwise) {
  const TempDir folder;
  const std::filesystem::path model = folder / "model";
  std::filesystem::copy(kModel, model);
  write_file(model / "generation_config.json",
             std::string_view(R"({"eos_token_id": 0, "do_sample": true, "temperature": 0.6,
                                  "top_k": 20, "top_p": 0.95, "max_new_tokens": 3})"));
  const ProcessResult result =
      run_process(program({"generate", "--model", model, "--prompt", "The table", "--top-k", "7"}));
  EXPECT_THAT(result.err, HasSubstr("sampling: temperature 0.6, top-k 7, top-p 0.95, min-p 0"));
  EXPECT_THAT(result.err, HasSubstr("at most 3 tokens"));
  EXPECT_THAT(result.err, HasSubstr("from generation_config.json: temperature, top-p, max-tokens"));
}

// ---- chat

const std::string kTemplate =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if enable_thinking is defined %}<think {{ enable_thinking }}>{% endif %}<assistant>";

Args chat(const TempDir& folder, Args more = {}) {
  write_file(folder / "t.jinja", kTemplate);
  Args args{"chat",       "--quiet",          "--model",      kModel,
            "--template", folder / "t.jinja", "--max-tokens", "5"};
  args.insert(args.end(), more.begin(), more.end());
  return program(args);
}

TEST(Chat, AnswersEachLineOfAPipe) {
  const TempDir folder;
  const ProcessResult result =
      run_with_input(folder, "Hello\nAnd now?\n/reset\nHello\n/exit\nnever\n", chat(folder));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> answers;
  std::istringstream in(result.out);
  for (std::string line; std::getline(in, line);) answers.push_back(line);
  ASSERT_GE(answers.size(), 3U);
  // The conversation is the template's: the first answer is what generate makes of its text.
  const std::vector<Json> alone = completions(
      folder, Json{{"prompt", "<user>Hello\n<assistant>"}, {"max_tokens", 5}}.dump() + "\n");
  const std::string first = alone[0]["text"];
  EXPECT_EQ(result.out.substr(0, first.size() + 1), first + "\n");
  EXPECT_TRUE(result.out.ends_with("\n" + first + "\n")) << "after /reset all is as before";
}

// Each answer, whose turn computes only what is new, is the one that generate gives to the whole
// conversation's text.
TEST(Chat, IsTheSameUnderMpirun) {
  const TempDir folder;
  std::string text, want;
  for (const std::string line : {"Hello", "And now?", "A third time"}) {
    text += "<user>" + line + "\n<assistant>";
    const std::string answer =
        completions(folder, Json{{"prompt", text}, {"max_tokens", 5}}.dump() + "\n")[0]["text"];
    text += answer + "\n";
    want += answer + "\n";
  }
  const std::string talk = "Hello\nAnd now?\nA third time";  // the last line has no end
  EXPECT_EQ(run_with_input(folder, talk, chat(folder)).out, want);
  for (const int ranks : {2, 4}) {
    const ProcessResult result = run_with_input(folder, talk, under_mpirun(ranks, chat(folder)));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.out, want) << ranks << " ranks";
  }
}

// The ranks wait longer than --timeout for the user; none counts as silent.
TEST(Chat, WaitsForTheUser) {
  const TempDir folder;
  Args run{"sh", "-c", "(sleep 3; echo Hello) | \"$@\"", "sh"};
  for (const std::string& word : under_mpirun(2, chat(folder, {"--timeout", "1"})))
    run.push_back(word);
  const ProcessResult result = run_process(run);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(result.out.empty());
}

TEST(Chat, ErrorsOfALineEndOnlyThatLine) {
  const TempDir folder;
  write_file(folder / "strict.jinja",
             std::string_view("{% if messages[0].content == 'bad' %}{{ raise_exception('no') }}"
                              "{% endif %}{{ messages[0].content }}"));
  const ProcessResult result =
      run_with_input(folder, "/nosuch\nbad\nHello\n",
                     program({"chat", "--quiet", "--model", kModel, "--max-tokens", "3",
                              "--template", folder / "strict.jinja"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("'/nosuch': got an unknown command"),
                                HasSubstr("the template refuses this conversation: no")));
  EXPECT_FALSE(result.out.empty());
}

TEST(Chat, NeedsATemplate) {
  const ProcessResult result = run_process(program({"chat", "--model", kModel}));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("no chat template"), HasSubstr("--template FILE"),
                                Not(HasSubstr("loaded"))));
}

// ---- tokenize

ProcessResult tokenize(Args more) {
  Args args{"tokenize", "--model", kModel};
  args.insert(args.end(), more.begin(), more.end());
  return run_process(program(args));
}

TEST(Tokenize, EncodesAndDecodes) {
  const std::string ids = tokenize({"The table"}).out;
  EXPECT_EQ(tokenize({"--decode", ids}).out, "The table\n");
  const Json json = Json::parse(tokenize({"The table", "--as", "json"}).out);
  EXPECT_EQ(json["count"], json["ids"].size());
  EXPECT_EQ(json["pieces"][0].get<std::string>() + json["pieces"][1].get<std::string>(),
            "The table");
  EXPECT_EQ(tokenize({"The table", "--as", "count"}).out,
            std::to_string(json["ids"].size()) + "\n");
}

TEST(Tokenize, ReadsStandardInputFilesAndLines) {
  const TempDir folder;
  const std::string ids = tokenize({"The table\n"}).out;
  EXPECT_EQ(run_with_input(folder, "The table\n", program({"tokenize", "--model", kModel})).out,
            ids);
  write_file(folder / "text", std::string_view("The table\n"));
  EXPECT_EQ(tokenize({"--file", folder / "text"}).out, ids);
  const Args lines = program({"tokenize", "--model", kModel, "--jsonl"});
  const std::string encoded =
      run_with_input(folder, "{\"text\": \"The table\\n\"}\n{\"text\": \"\"}\n", lines).out;
  EXPECT_THAT(encoded, HasSubstr("\n{\"ids\":[]}\n"));
  Args back = lines;
  back.emplace_back("--decode");
  EXPECT_EQ(run_with_input(folder, encoded, back).out,
            "{\"text\":\"The table\\n\"}\n{\"text\":\"\"}\n");
  const ProcessResult bad = run_with_input(folder, "{\"text\": \"a\"}\n{\"txt\": 1}\n", lines);
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("standard input: line 2: text: got nothing"));
}

TEST(Tokenize, LeavesSpecialTokensOutWhereAsked) {
  const std::string tokenizer = kSource + "/tests/data/deepseek_v2_tiny/tokenizer.json";
  const auto ids = [&](Args more) {
    Args args{"tokenize", "--tokenizer", tokenizer, "a"};
    args.insert(args.end(), more.begin(), more.end());
    return run_process(program(args)).out;
  };
  EXPECT_TRUE(ids({}).ends_with(" " + ids({"--no-special"})));
  EXPECT_THAT(tokenize({"--decode", "x"}).err, HasSubstr("ids: got 'x', wanted token ids"));
  EXPECT_THAT(tokenize({"--decode", "99999"}).err, HasSubstr("token id: got 99999"));
  EXPECT_EQ(run_process(program({"tokenize", "a"})).exit_code, 2);
}

}  // namespace
}  // namespace gracemoe
