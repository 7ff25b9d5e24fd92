// Feeds a fuzz target for compilers without libFuzzer: the seed files, then so many of their
// mutations, the same ones for the same --seed. On a crash, or after 10 s in one input, the input
// is written to ./crash-<iteration>; giving that file as the only seed repeats it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "fuzz/fuzz_target.h"

namespace {

using gracemoe::hash_combine;

constexpr std::size_t kMaxSize = 1 << 16;  // larger inputs test the same code, slower
constexpr unsigned kMaxSeconds = 10;

// What the signal handler can reach.
struct Current {
  const std::string* input = nullptr;
  char file[64] = "crash-seed";
};
Current current;

extern "C" void write_crash(int signal) {
  const int file = open(current.file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file >= 0 && current.input != nullptr) {
    const ssize_t done = write(file, current.input->data(), current.input->size());
    const char* text = done >= 0 ? "the input is in " : "the input could not be written to ";
    (void)!write(2, text, strlen(text));
    (void)!write(2, current.file, strlen(current.file));
    (void)!write(2, signal == SIGALRM ? " (it hangs)\n" : "\n", signal == SIGALRM ? 12 : 1);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& seeds, std::uint64_t seed) : seeds_(seeds), seed_(seed) {}

  std::string next() {
    std::string input = seeds_[below(seeds_.size())];
    for (std::size_t rounds = 1 + below(6); rounds > 0; --rounds) mutate(input);
    input.resize(std::min(input.size(), kMaxSize));
    return input;
  }

 private:
  std::size_t below(std::size_t limit) { return hash_combine(seed_, counter_++) % limit; }
  // A place in the input, its end included.
  std::size_t place(const std::string& input) { return below(input.size() + 1); }

  void mutate(std::string& input) {
    switch (below(8)) {
      case 0:
        return flip_bit(input);
      case 1:
        return set_byte(input);
      case 2:
        return input.resize(place(input));
      case 3:
        return remove_part(input);
      case 4:
        return repeat_part(input);
      case 5:
        return splice(input);
      case 6:
        return put_number(input);
      default:
        return put_text(input);
    }
  }
  void flip_bit(std::string& input) {
    if (!input.empty()) input[below(input.size())] ^= static_cast<char>(1U << below(8));
  }
  void set_byte(std::string& input) {
    if (!input.empty()) input[below(input.size())] = static_cast<char>(below(256));
  }
  void remove_part(std::string& input) {
    const std::size_t at = place(input);
    input.erase(at, below(1 + std::min<std::size_t>(input.size() - at, 64)));
  }
  void repeat_part(std::string& input) {
    const std::size_t at = place(input);
    const std::string part = input.substr(at, 1 + below(32));
    for (std::size_t times = 1 + below(16); times > 0; --times) input.insert(at, part);
  }
  void splice(std::string& input) {
    const std::string& other = seeds_[below(seeds_.size())];
    const std::size_t at = place(other);
    const std::string part = other.substr(at, 1 + below(other.size() - at + 1));
    if (below(2) == 0)
      input.insert(place(input), part);
    else
      input = input.substr(0, place(input)) + part;
  }
  // 1, 2, 4 or 8 bytes, little-endian, of a number at some limit.
  void put_number(std::string& input) {
    const std::uint64_t limit = std::uint64_t{1} << below(64);
    const std::uint64_t value = limit - 1 + below(3);
    const std::size_t size = std::size_t{1} << below(4);
    if (input.size() < size) return;
    std::memcpy(input.data() + below(input.size() - size + 1), &value, size);
  }
  // In place of a number in the text, or anywhere.
  void put_text(std::string& input) {
    static constexpr std::array<const char*, 22> kTexts{
        "-1",    "0",    "65535", "65536",  "2147483648", "4294967296", "9223372036854775808",
        "1e308", "1e-9", "0.5",   "NaN",    "null",       "true",       "\"\"",
        "[]",    "{}",   "[[",    "\"a\":", ",",          "\n",         "&a ",
        "*a"};
    const std::string text = kTexts[below(kTexts.size())];
    const std::size_t from = input.find_first_of("0123456789", place(input));
    if (from == input.npos || below(4) == 0) {
      input.insert(place(input), text);
      return;
    }
    const std::size_t end = std::min(input.find_first_not_of("0123456789.", from), input.size());
    input.replace(from, end - from, text);
  }

  const std::vector<std::string>& seeds_;
  std::uint64_t seed_, counter_ = 0;
};

void run_one(const std::string& input) {
  current.input = &input;
  alarm(kMaxSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  alarm(0);
}

struct Arguments {
  std::uint64_t iterations = 1000, seed = 1;
  std::vector<std::string> seeds;
};

void add_seeds(Arguments& arguments, const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    arguments.seeds.push_back(gracemoe::read_file(path));
    return;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const auto& file : files) arguments.seeds.push_back(gracemoe::read_file(file));
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if ((argument == "--iterations" || argument == "--seed") && i + 1 < argc)
      (argument == "--seed" ? arguments.seed : arguments.iterations) =
          std::strtoull(argv[++i], nullptr, 10);
    else
      add_seeds(arguments, argument);
  }
  return arguments;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (arguments.seeds.empty()) {
    std::fprintf(stderr, "usage: %s [--iterations N] [--seed S] FILE|FOLDER...\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
    std::signal(signal, write_crash);
  for (const std::string& seed : arguments.seeds) run_one(seed);
  Mutator mutator(arguments.seeds, arguments.seed);
  for (std::uint64_t i = 0; i < arguments.iterations; ++i) {
    std::snprintf(current.file, sizeof current.file, "crash-%llu",
                  static_cast<unsigned long long>(i));
    run_one(mutator.next());
  }
  std::printf("%zu seeds and %llu mutations of them, seed %llu: errors only\n",
              arguments.seeds.size(), static_cast<unsigned long long>(arguments.iterations),
              static_cast<unsigned long long>(arguments.seed));
  return 0;
}
