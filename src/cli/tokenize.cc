// gracemoe tokenize: text to token ids and back, as the model's tokenizer.json says.
#include <fmt/core.h>

#include <iostream>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/commands.h"
#include "model/tokenizer.h"

namespace gracemoe {
namespace {

struct TokenizeArguments {
  std::string model, tokenizer, file, as = "ids";
  std::vector<std::string> inputs;
  bool decode = false, lines = false, no_special = false;
};

std::string strict_dump(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::vector<int> ids_of_json(const Json& list, const std::string& name) {
  std::vector<int> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer() || id < 0 || id > 0x7fffffff)
      fail_input({name, show_json(id), "token ids, integers from 0", "correct this line"});
    ids.push_back(id.get<int>());
  }
  return ids;
}

// Numbers with blanks, commas or brackets between them.
std::vector<int> ids_of_text(const std::string& text, const std::string& name) {
  std::vector<int> ids;
  for (std::size_t at = text.find_first_not_of(" ,[]\t\r\n"); at != text.npos;
       at = text.find_first_not_of(" ,[]\t\r\n", at)) {
    const std::size_t end = std::min(text.find_first_of(" ,[]\t\r\n", at), text.size());
    const std::string word = text.substr(at, end - at);
    if (word.size() > 9 || word.find_first_not_of("0123456789") != word.npos)
      fail_input({name, "'" + word + "'", "token ids, integers from 0",
                  "give ids alone, or leave out --decode to encode a text"});
    ids.push_back(std::stoi(word));
    at = end;
  }
  return ids;
}

OrderedJson pieces_of(const Tokenizer& tokenizer, const std::vector<int>& ids) {
  OrderedJson pieces = OrderedJson::array();
  for (const int id : ids) pieces.push_back(std::string(tokenizer.token_bytes(id)));
  return pieces;
}

// What stands for the ids of one text, without the line's end.
std::string shown(const TokenizeArguments& a, const Tokenizer& tokenizer,
                  const std::vector<int>& ids) {
  if (a.as == "count") return std::to_string(ids.size());
  if (a.as == "pieces") return strict_dump(pieces_of(tokenizer, ids));
  if (a.as == "json")
    return strict_dump(
        {{"count", ids.size()}, {"ids", ids}, {"pieces", pieces_of(tokenizer, ids)}});
  std::string text;
  for (const int id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

// A line of JSON in, one out: a text becomes ids, ids a text.
std::string converted_line(const TokenizeArguments& a, const Tokenizer& tokenizer,
                           const std::string& line, const std::string& name) {
  const Json json = parse_json(line, name);
  const JsonObject object(json, name);
  if (!a.decode) {
    OrderedJson out = OrderedJson::object();
    const std::vector<int> ids = tokenizer.encode(object.text("text"), !a.no_special);
    if (a.as == "count" || a.as == "json") out["count"] = ids.size();
    if (a.as == "ids" || a.as == "json") out["ids"] = ids;
    if (a.as == "pieces" || a.as == "json") out["pieces"] = pieces_of(tokenizer, ids);
    return strict_dump(out);
  }
  const std::vector<int> ids = ids_of_json(object.array("ids"), object.key_name("ids"));
  return strict_dump({{"text", tokenizer.decode(ids, a.no_special)}});
}

// The named file, or standard input.
class TokenizeInput {
 public:
  explicit TokenizeInput(const std::string& file)
      : name_(file.empty() || file == "-" ? "standard input" : file) {
    if (name_ != file) return;
    whole_.str(read_file(file));
    in_ = &whole_;
  }
  const std::string& name() const { return name_; }
  std::istream& stream() { return *in_; }
  std::string text() { return {std::istreambuf_iterator<char>(*in_), {}}; }

 private:
  std::string name_;
  std::istringstream whole_;
  std::istream* in_ = &std::cin;
};

void tokenize_lines(const TokenizeArguments& a, const Tokenizer& tokenizer, TokenizeInput& input) {
  std::string line;
  for (std::int64_t number = 1; std::getline(input.stream(), line); ++number)
    if (!line.empty())
      fmt::print("{}\n", converted_line(a, tokenizer, line,
                                        input.name() + ": line " + std::to_string(number)));
}

void tokenize_one(const TokenizeArguments& a, const Tokenizer& tokenizer, const std::string& text,
                  const std::string& name) {
  if (a.decode)
    fmt::print("{}", tokenizer.decode(ids_of_text(text, name), a.no_special));
  else
    fmt::print("{}\n", shown(a, tokenizer, tokenizer.encode(text, !a.no_special)));
}

void tokenize(const TokenizeArguments& a) {
  if (a.model.empty() == a.tokenizer.empty())
    fail_usage({"tokenize", a.model.empty() ? "no tokenizer" : "two tokenizers",
                "--model DIR or --tokenizer FILE", "give one of the two"});
  if (!a.inputs.empty() && (!a.file.empty() || a.lines))
    fail_usage({"tokenize", "texts beside --file or --jsonl", "one source of texts",
                "leave out the texts or the options"});
  const Tokenizer tokenizer =
      a.tokenizer.empty() ? Tokenizer::of_folder(a.model) : Tokenizer(a.tokenizer);
  if (a.decode && !a.inputs.empty()) {  // the words of one list
    std::string all;
    for (const std::string& word : a.inputs) all += word + " ";
    tokenize_one(a, tokenizer, all, "ids");
    fmt::print("\n");
    return;
  }
  for (const std::string& text : a.inputs) tokenize_one(a, tokenizer, text, "text");
  if (!a.inputs.empty()) return;
  TokenizeInput input(a.file);
  if (a.lines)
    tokenize_lines(a, tokenizer, input);
  else
    tokenize_one(a, tokenizer, input.text(), input.name());
}

}  // namespace

void add_tokenize(CLI::App& app, Action& action) {
  auto a = std::make_shared<TokenizeArguments>();
  CLI::App* command =
      app.add_subcommand("tokenize", "Turn text into token ids, or token ids into text");
  command->add_option("text", a->inputs, "texts, or ids with --decode (default: standard input)");
  command->add_option("--model", a->model, "Hugging Face model folder");
  command->add_option("--tokenizer", a->tokenizer, "or a tokenizer.json by itself");
  command->add_option("--file", a->file, "read this file as one text (-: standard input)");
  command->add_flag(
      "--jsonl", a->lines,
      "a line in, a line out: {\"text\": ...} to {\"ids\": [...]}, with --decode back");
  command->add_flag("--decode", a->decode, "ids to text");
  command->add_flag("--no-special", a->no_special,
                    "add no special tokens such as BOS; with --decode: leave them out");
  command->add_option("--as", a->as, "ids | pieces | json | count")
      ->check(CLI::IsMember({"ids", "pieces", "json", "count"}))
      ->capture_default_str();
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { tokenize(*a); }); };
  });
}

}  // namespace gracemoe
