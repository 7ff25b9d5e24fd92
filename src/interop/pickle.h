// Python's pickle, protocol 2, read as data: nothing is imported, called or looked up. A whitelist
// of opcodes and of names; what is not on it is refused. A call is kept as the name and its
// arguments, for the caller to interpret or refuse.
#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gracemoe {

enum class PyKind : std::uint8_t {
  kList,
  kTuple,
  kDict,        // items: key, value, key, value, ...
  kCall,        // items: the PyName called, the tuple of its arguments
  kPersistent,  // items: the one value that names something stored outside of the pickle
};
// One of the objects that hold others; those may hold it in turn.
struct PyObject {
  PyKind kind = PyKind::kList;
  std::uint32_t index = 0;
  friend bool operator==(const PyObject&, const PyObject&) = default;
};
struct PyName {
  std::string_view name;  // "module\nname", as in the file
};
// None, True or False, a number, a text, ... Texts are views into the pickle.
using PyValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string_view, PyName, PyObject>;

class Pickle {
 public:
  // `allowed` are the names ("module\nname") that the pickle may mention. Of the calls,
  // collections.OrderedDict() becomes an empty dict; others stay calls. Errors (kInput) name `name`
  // and the byte. Memory: at most some 100 bytes a byte of the pickle, which has at most 128 MiB.
  Pickle(std::span<const std::byte> bytes, const std::set<std::string_view>& allowed,
         std::string name);

  const PyValue& root() const { return root_; }
  const std::vector<PyValue>& items(PyObject object) const { return objects_[object.index]; }

 private:
  friend class Unpickler;
  std::vector<std::vector<PyValue>> objects_;
  PyValue root_;
};

// "a list of 3", "'text'", "5": as messages show a value.
std::string show_py(const Pickle& pickle, const PyValue& value);

}  // namespace gracemoe
