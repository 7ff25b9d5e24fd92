#include "interop/torch_file.h"

#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr std::string_view kRebuild = "torch._utils\n_rebuild_tensor_v2";
constexpr std::size_t kMaxKeys = 256;  // of a dict that is looked into; a lookup walks them all
constexpr std::size_t kMaxDimensions = 8;

struct StorageType {
  std::string_view name;
  std::size_t size;                          // bytes an element
  std::int64_t (*number)(const std::byte*);  // null: not whole numbers
};

template <typename T>
std::int64_t load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::int64_t>(value);
}

constexpr std::array<StorageType, 10> kStorages{{{"torch\nLongStorage", 8, load<std::int64_t>},
                                                 {"torch\nIntStorage", 4, load<std::int32_t>},
                                                 {"torch\nShortStorage", 2, load<std::int16_t>},
                                                 {"torch\nCharStorage", 1, load<std::int8_t>},
                                                 {"torch\nByteStorage", 1, load<std::uint8_t>},
                                                 {"torch\nBoolStorage", 1, load<std::uint8_t>},
                                                 {"torch\nDoubleStorage", 8, nullptr},
                                                 {"torch\nFloatStorage", 4, nullptr},
                                                 {"torch\nHalfStorage", 2, nullptr},
                                                 {"torch\nBFloat16Storage", 2, nullptr}}};

const std::set<std::string_view>& allowed_names() {
  static const std::set<std::string_view> names = [] {
    std::set<std::string_view> all{kRebuild, "collections\nOrderedDict"};
    for (const StorageType& type : kStorages) all.insert(type.name);
    return all;
  }();
  return names;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

struct TorchFile::Storage {
  const StorageType* type = nullptr;
  std::span<const std::byte> bytes;
  std::int64_t elements() const { return static_cast<std::int64_t>(bytes.size() / type->size); }
};

TorchFile::TorchFile(const std::filesystem::path& path) : name_(path.string()), file_(path) {
  open(file_->bytes());
}

TorchFile::TorchFile(std::span<const std::byte> bytes, std::string name) : name_(std::move(name)) {
  open(bytes);
}

void TorchFile::open(std::span<const std::byte> bytes) {
  entries_ = read_stored_zip(bytes, name_);
  constexpr std::string_view kPickle = "/data.pkl";
  for (const auto& [entry, data] : entries_) {
    if (!entry.ends_with(kPickle)) continue;
    if (pickle_)
      fail_input({name_, "two entries data.pkl", "one", "this is no file of torch.save"});
    stem_ = entry.substr(0, entry.size() - kPickle.size());
    pickle_.emplace(data, allowed_names(), name_ + ": data.pkl");
  }
  if (!pickle_) fail_input({name_, "a zip archive without data.pkl", "a file of torch.save", ""});
  const auto order = entries_.find(stem_ + "/byteorder");
  if (order != entries_.end() && as_text(order->second) != "little")
    fail_input({name_ + ": byteorder",
                "'" + std::string(as_text(order->second).substr(0, 20)) + "'", "'little'",
                "write the file on a little-endian machine"});
}

void TorchFile::wrong(const PyValue& value, const std::string& what,
                      const std::string& wanted) const {
  fail_input({what, show_py(*pickle_, value), wanted, ""});
}

const std::vector<PyValue>* TorchFile::items_if(const PyValue& value, PyKind kind) const {
  const PyObject* object = std::get_if<PyObject>(&value);
  return object != nullptr && object->kind == kind ? &pickle_->items(*object) : nullptr;
}

TorchDict TorchFile::root() const {
  return dict(pickle_->root(), name_);
}

TorchDict TorchFile::dict(const PyValue& value, const std::string& what) const {
  const auto* items = items_if(value, PyKind::kDict);
  if (items == nullptr) wrong(value, what, "a dict");
  return {*this, *items, what};
}

const std::vector<PyValue>& TorchFile::list(const PyValue& value, const std::string& what) const {
  const auto* items = items_if(value, PyKind::kList);
  if (items == nullptr) wrong(value, what, "a list");
  return *items;
}

std::int64_t TorchFile::integer(const PyValue& value, const std::string& what) const {
  const auto* number = std::get_if<std::int64_t>(&value);
  if (number == nullptr) wrong(value, what, "a whole number");
  return *number;
}

// ('storage', torch.IntStorage, '0', 'cpu', elements); the device is of no interest here.
TorchFile::Storage TorchFile::storage(const PyValue& value, const std::string& what) const {
  const auto* persistent = items_if(value, PyKind::kPersistent);
  const auto* parts =
      persistent == nullptr ? nullptr : items_if(persistent->front(), PyKind::kTuple);
  if (parts == nullptr || parts->size() != 5) wrong(value, what, "a tensor's storage");
  const auto* kind = std::get_if<std::string_view>(parts->data());
  const auto* type = std::get_if<PyName>(&(*parts)[1]);
  const auto* key = std::get_if<std::string_view>(&(*parts)[2]);
  if (kind == nullptr || *kind != "storage" || type == nullptr || key == nullptr)
    wrong(value, what, "a tensor's storage");
  Storage found;
  for (const StorageType& candidate : kStorages)
    if (candidate.name == type->name) found.type = &candidate;
  if (found.type == nullptr || found.type->number == nullptr)
    wrong((*parts)[1], what, "a tensor of whole numbers");
  const auto entry = entries_.find(stem_ + "/data/" + std::string(*key));
  if (entry == entries_.end())
    fail_input({what, "no entry data/" + std::string(key->substr(0, 60)), "the tensor's numbers",
                "the file is damaged: write it again"});
  found.bytes = entry->second;
  const std::int64_t elements = integer((*parts)[4], what);
  if (elements != found.elements() || found.bytes.size() % found.type->size != 0)
    fail_input({what, std::to_string(found.bytes.size()) + " bytes",
                std::to_string(elements) + " elements of " + std::to_string(found.type->size),
                "the file is damaged: write it again"});
  return found;
}

std::vector<std::int64_t> TorchFile::sizes(const PyValue& value, const std::string& what) const {
  const auto* items = items_if(value, PyKind::kTuple);
  if (items == nullptr || items->size() > kMaxDimensions) wrong(value, what, "a shape");
  std::vector<std::int64_t> numbers;
  for (const PyValue& item : *items) {
    numbers.push_back(integer(item, what));
    if (numbers.back() < 0) wrong(item, what, "sizes and strides of at least 0");
  }
  return numbers;
}

// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])
IntTensor TorchFile::tensor(const PyValue& value, const std::string& what) const {
  const auto* call = items_if(value, PyKind::kCall);
  const auto* name = call == nullptr ? nullptr : std::get_if<PyName>(call->data());
  const auto* arguments = name == nullptr ? nullptr : items_if((*call)[1], PyKind::kTuple);
  if (arguments == nullptr || name->name != kRebuild || arguments->size() < 4)
    wrong(value, what, "a tensor");
  const Storage from = storage((*arguments)[0], what);
  const std::int64_t offset = integer((*arguments)[1], what);
  IntTensor tensor;
  tensor.shape = sizes((*arguments)[2], what);
  const std::vector<std::int64_t> strides = sizes((*arguments)[3], what);
  std::int64_t elements = 1;
  bool fits = strides.size() == tensor.shape.size() && offset >= 0 && offset <= from.elements();
  for (std::size_t d = tensor.shape.size(); d-- > 0 && fits;) {
    fits = tensor.shape[d] <= 1 || strides[d] == elements;
    fits = fits && !__builtin_mul_overflow(elements, tensor.shape[d], &elements);
    // An empty dimension ends the test: the strides outside of it are anybody's.
    if (elements == 0) break;
  }
  if (!fits || elements > from.elements() - offset)
    fail_input({what, "a shape and strides that do not lie densely in the tensor's storage",
                "a contiguous tensor", "save it with .contiguous() or .clone()"});
  tensor.values.resize(static_cast<std::size_t>(elements));
  const std::byte* at = from.bytes.data() + static_cast<std::size_t>(offset) * from.type->size;
  for (std::size_t i = 0; i < tensor.values.size(); ++i)
    tensor.values[i] = from.type->number(at + i * from.type->size);
  return tensor;
}

TorchDict::TorchDict(const TorchFile& file, const std::vector<PyValue>& items, std::string what)
    : file_(&file), items_(&items), what_(std::move(what)) {
  if (items.size() > 2 * kMaxKeys)
    fail_input({what_, std::to_string(items.size() / 2) + " keys",
                "at most " + std::to_string(kMaxKeys), ""});
}

// The last of equal keys, as in Python.
const PyValue* TorchDict::find(std::string_view key) const {
  const PyValue* found = nullptr;
  for (std::size_t i = 0; i + 1 < items_->size(); i += 2) {
    const auto* name = std::get_if<std::string_view>(&(*items_)[i]);
    if (name != nullptr && *name == key) found = &(*items_)[i + 1];
  }
  return found;
}

bool TorchDict::has(std::string_view key) const {
  const PyValue* found = find(key);
  return found != nullptr && !std::holds_alternative<std::monostate>(*found);
}

const PyValue& TorchDict::at(const std::string& key) const {
  const PyValue* found = find(key);
  if (found == nullptr) fail_input({key_name(key), "nothing", "a value", ""});
  return *found;
}

std::int64_t TorchDict::integer(const std::string& key) const {
  return file_->integer(at(key), key_name(key));
}

std::string TorchDict::text(const std::string& key) const {
  const auto* text = std::get_if<std::string_view>(&at(key));
  if (text == nullptr) file_->wrong(at(key), key_name(key), "a text");
  return std::string(*text);
}

IntTensor TorchDict::tensor(const std::string& key) const {
  return file_->tensor(at(key), key_name(key));
}

const std::vector<PyValue>& TorchDict::list(const std::string& key) const {
  return file_->list(at(key), key_name(key));
}

std::optional<std::vector<std::int64_t>> TorchDict::integers(const std::string& key) const {
  if (!has(key)) return std::nullopt;
  const std::vector<PyValue>& items = list(key);
  std::vector<std::int64_t> numbers;
  numbers.reserve(items.size());
  for (const PyValue& item : items) numbers.push_back(file_->integer(item, key_name(key)));
  return numbers;
}

}  // namespace gracemoe
