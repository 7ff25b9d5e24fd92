#include "interop/pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr std::size_t kMaxPickle = std::size_t{128} << 20U;
constexpr std::string_view kOrderedDict = "collections\nOrderedDict";

std::string hex_text(unsigned char code) {
  constexpr char kDigits[] = "0123456789abcdef";
  return {'0', 'x', kDigits[code >> 4U], kDigits[code & 15U]};
}

}  // namespace

// The machine: a stack, marks into it, and a memo. One step an opcode, no recursion.
class Unpickler {
 public:
  Unpickler(Pickle& pickle, std::span<const std::byte> bytes,
            const std::set<std::string_view>& allowed, const std::string& name)
      : objects_(pickle.objects_), bytes_(bytes), allowed_(allowed), name_(name) {}

  PyValue run() {
    while (true) {
      at_ = next_;
      const char code = static_cast<char>(byte());
      if (code == '.') break;
      if (!constant(code) && !container(code) && !memo(code)) refuse_opcode(code);
    }
    if (stack_.size() != 1 || !marks_.empty()) bad("values left over at its end", "one value");
    return stack_[0];
  }

 private:
  [[noreturn]] void bad(const std::string& got, const std::string& wanted) const {
    fail_input({name_ + ": byte " + std::to_string(at_), got, wanted,
                "the file is damaged, or not one that SGLang's recorder writes"});
  }
  [[noreturn]] void refuse_opcode(char code) const {
    bad("the pickle opcode " + hex_text(static_cast<unsigned char>(code)),
        "one that plain data of protocol 2 needs; no others are carried out");
  }

  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size() - next_) bad("a pickle that ends early", "a whole one");
    const auto taken = bytes_.subspan(next_, size);
    next_ += size;
    return taken;
  }
  unsigned char byte() { return static_cast<unsigned char>(take(1)[0]); }
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view text(std::size_t size) {
    return {reinterpret_cast<const char*>(take(size).data()), size};
  }

  void push(PyValue value) { stack_.push_back(value); }
  PyObject make(PyKind kind, std::vector<PyValue> items) {
    objects_.push_back(std::move(items));
    return {kind, static_cast<std::uint32_t>(objects_.size() - 1)};
  }
  // Values may be taken down to the innermost mark only.
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PyValue& top() {
    if (stack_.size() <= floor()) bad("a missing value", "a value on the stack");
    return stack_.back();
  }
  PyValue pop() {
    const PyValue value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<PyValue> pop_count(std::size_t count) {
    if (stack_.size() - floor() < count) bad("missing values", std::to_string(count) + " values");
    std::vector<PyValue> values(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }
  std::vector<PyValue> pop_to_mark() {
    if (marks_.empty()) bad("no mark", "a mark on the stack");
    std::vector<PyValue> values = pop_count(stack_.size() - marks_.back());
    marks_.pop_back();
    return values;
  }
  std::vector<PyValue>& top_items(PyKind kind, const char* wanted) {
    const PyObject* object = std::get_if<PyObject>(&top());
    if (object == nullptr || object->kind != kind) bad("another value", wanted);
    return objects_[object->index];
  }

  bool constant(char code) {
    switch (code) {
      case '\x80':
        if (const int version = byte(); version != 2)
          bad("pickle protocol " + std::to_string(version), "protocol 2, as torch.save writes it");
        return true;
      case 'N':
        push(std::monostate{});
        return true;
      case '\x88':
      case '\x89':
        push(code == '\x88');
        return true;
      case 'J':
        push(std::int64_t{number<std::int32_t>()});
        return true;
      case 'K':
        push(std::int64_t{byte()});
        return true;
      case 'M':
        push(std::int64_t{number<std::uint16_t>()});
        return true;
      case '\x8a':
        push(long_integer());
        return true;
      case 'G':  // big-endian
        push(std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>())));
        return true;
      case 'X':
        push(text(number<std::uint32_t>()));
        return true;
      case 'c':
        push(PyName{global()});
        return true;
      default:
        return false;
    }
  }

  std::int64_t long_integer() {
    const std::size_t size = byte();
    if (size > sizeof(std::int64_t)) bad("an integer of " + std::to_string(size) + " bytes", "8");
    const auto bytes = take(size);
    std::uint64_t value = 0;
    if (size > 0) {
      if ((static_cast<unsigned>(bytes[size - 1]) & 0x80U) != 0) value = ~std::uint64_t{0};
      std::memcpy(&value, bytes.data(), size);
    }
    return static_cast<std::int64_t>(value);
  }

  // Two lines, module and name, as one view.
  std::string_view global() {
    const std::size_t begin = next_;
    for (int lines = 0; lines < 2;)
      if (byte() == '\n') ++lines;
    const std::string_view found(reinterpret_cast<const char*>(bytes_.data()) + begin,
                                 next_ - begin - 1);
    if (!allowed_.contains(found)) {
      std::string shown(found.substr(0, 80));
      shown[std::min(shown.size() - 1, shown.find('\n'))] = '.';
      bad("the name '" + shown + "'", "a name of plain tensors; nothing else is looked up");
    }
    return found;
  }

  bool container(char code) {
    switch (code) {
      case '}':
        push(make(PyKind::kDict, {}));
        return true;
      case ']':
        push(make(PyKind::kList, {}));
        return true;
      case ')':
        push(make(PyKind::kTuple, {}));
        return true;
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case 't':
        push(make(PyKind::kTuple, pop_to_mark()));
        return true;
      case '\x85':
      case '\x86':
      case '\x87':
        push(make(PyKind::kTuple, pop_count(static_cast<std::size_t>(code - '\x85') + 1)));
        return true;
      case 'a':
      case 'e':
        append(PyKind::kList, code == 'a' ? pop_count(1) : pop_to_mark());
        return true;
      case 's':
      case 'u':
        append(PyKind::kDict, code == 's' ? pop_count(2) : pop_to_mark());
        return true;
      case 'Q':
        push(make(PyKind::kPersistent, pop_count(1)));
        return true;
      case 'R':
        reduce();
        return true;
      default:
        return false;
    }
  }

  void append(PyKind kind, const std::vector<PyValue>& values) {
    if (kind == PyKind::kDict && values.size() % 2 != 0) bad("a key without a value", "pairs");
    auto& items = top_items(kind, kind == PyKind::kDict ? "a dict" : "a list");
    items.insert(items.end(), values.begin(), values.end());
  }

  void reduce() {
    const std::vector<PyValue> call = pop_count(2);
    const PyName* name = std::get_if<PyName>(&call[0]);
    const PyObject* arguments = std::get_if<PyObject>(&call[1]);
    if (name == nullptr || arguments == nullptr || arguments->kind != PyKind::kTuple)
      bad("a call of something else", "a name and a tuple of arguments");
    if (name->name == kOrderedDict && objects_[arguments->index].empty())
      push(make(PyKind::kDict, {}));
    else
      push(make(PyKind::kCall, call));
  }

  bool memo(char code) {
    switch (code) {
      case 'q':
      case 'r':
        memo_[code == 'q' ? byte() : number<std::uint32_t>()] = top();
        return true;
      case 'h':
      case 'j': {
        const auto found = memo_.find(code == 'h' ? byte() : number<std::uint32_t>());
        if (found == memo_.end()) bad("a memo that was never stored", "one stored before");
        push(found->second);
        return true;
      }
      default:
        return false;
    }
  }

  std::vector<std::vector<PyValue>>& objects_;
  std::span<const std::byte> bytes_;
  const std::set<std::string_view>& allowed_;
  const std::string& name_;
  std::size_t next_ = 0, at_ = 0;  // byte to read; first byte of the opcode under way
  std::vector<PyValue> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, PyValue> memo_;
};

Pickle::Pickle(std::span<const std::byte> bytes, const std::set<std::string_view>& allowed,
               std::string name) {
  if (bytes.size() > kMaxPickle)
    fail_input({name, std::to_string(bytes.size()) + " bytes",
                "at most " + std::to_string(kMaxPickle), "record fewer steps a dump"});
  root_ = Unpickler(*this, bytes, allowed, name).run();
}

std::string show_py(const Pickle& pickle, const PyValue& value) {
  const auto object_text = [&](PyObject object) {
    const std::string size = std::to_string(pickle.items(object).size());
    switch (object.kind) {
      case PyKind::kList:
        return "a list of " + size;
      case PyKind::kTuple:
        return "a tuple of " + size;
      case PyKind::kDict:
        return std::string("a dict");
      case PyKind::kCall:
        return std::string("a tensor");
      default:
        return std::string("a stored object");
    }
  };
  if (const auto* object = std::get_if<PyObject>(&value)) return object_text(*object);
  if (const auto* text = std::get_if<std::string_view>(&value))
    return "'" + std::string(text->substr(0, 60)) + "'";
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) return std::to_string(*real);
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "True" : "False";
  return std::holds_alternative<PyName>(value) ? "a name" : "None";
}

}  // namespace gracemoe
