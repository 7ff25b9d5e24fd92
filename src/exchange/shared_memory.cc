#include "exchange/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr Phase kIntroduce{810, "introduction of shared memory"};
constexpr Phase kMet{811, "introduction of shared memory: done", -1, 1};
constexpr std::size_t kPage = 4096;  // the first holds the token
constexpr std::size_t kLine = 64;

[[noreturn]] void fail_sharing(const std::string& what, const std::string& why) {
  fail_usage({what, why, "memory shared by the devices of a node",
              "declare a topology whose nodes are machines, or use --intra mpi"});
}

// How others find a rank's memory: through the kernel's view of the process that holds it.
struct Introduction {
  std::int64_t process = 0;
  std::int32_t descriptor = -1;
  std::uint32_t padding = 0;
  std::uint64_t token = 0;
};

class Mapping {
 public:
  Mapping(int descriptor, std::size_t bytes, int protection) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, protection, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (at == MAP_FAILED) fail_sharing("mapping shared memory", std::strerror(errno));
    data_ = static_cast<std::byte*>(at);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(data_, bytes_); }
  std::span<std::byte> memory() const { return {data_, bytes_}; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Memory without a name counts as a file: beyond the limit the kernel would end the process by a
// signal.
void check_file_limit(const std::string& what, std::size_t bytes) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= bytes) return;
  fail_sharing(what, "a file size limit (ulimit -f) of " + std::to_string(limit.rlim_cur));
}

int make_file(std::size_t bytes) {
  const std::string what = "making shared memory of " + std::to_string(bytes) + " bytes";
  check_file_limit(what, bytes);
  const int descriptor = memfd_create("gracemoe", MFD_CLOEXEC);
  if (descriptor < 0) fail_sharing(what, std::strerror(errno));
  if (ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) {
    const std::string why = std::strerror(errno);
    close(descriptor);
    fail_sharing(what, why);
  }
  return descriptor;
}

std::uint64_t read_token(const Mapping& mapping) {
  std::uint64_t token = 0;
  std::memcpy(&token, mapping.memory().data(), sizeof(token));
  return token;
}

class NodeMemory final : public SharedMemory {
 public:
  // `trouble`: what keeps any rank of the node from sharing, the same on all or empty on all.
  NodeMemory(const Topology& topology, Transport& transport, std::size_t bytes,
             std::string& trouble)
      : bytes_(bytes + kPage), others_(static_cast<std::size_t>(topology.devices())) {
    Introduction mine;
    note_trouble(trouble, [&] { mine = introduce(); });
    const std::vector<int> neighbours = others_on_node(topology, transport.rank());
    std::vector<OutgoingMessage> out;
    for (const int rank : neighbours) out.push_back({rank, std::as_bytes(std::span(&mine, 1))});
    for (const IncomingMessage& message : transport.exchange(out, neighbours, kIntroduce))
      if (trouble.empty()) note_trouble(trouble, [&] { meet(message); });
    // Only now may the descriptor go; and where one cannot share, its whole node does not.
    out.clear();
    for (const int rank : neighbours) out.push_back({rank, std::as_bytes(std::span(trouble))});
    const auto told = transport.exchange(out, neighbours, kMet);
    for (const IncomingMessage& message : told) {
      if (trouble.empty() && !message.bytes.empty())
        trouble.assign(reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size());
    }
  }

  std::span<std::byte> own() override { return own_->memory().subspan(kPage); }
  std::span<const std::byte> of(int rank) const override {
    const auto& mapping = others_[static_cast<std::size_t>(rank)];
    if (mapping == nullptr) return {};
    return mapping->memory().subspan(kPage);
  }

 private:
  static std::vector<int> others_on_node(const Topology& topology, int self) {
    std::vector<int> others;
    const int node = topology.node_of(self);
    for (int i = 0; i < topology.devices_on(node); ++i) {
      if (topology.first_device(node) + i != self)
        others.push_back(topology.first_device(node) + i);
    }
    return others;
  }

  template <typename Act>
  static void note_trouble(std::string& trouble, Act act) {
    try {
      act();
    } catch (const Error& e) {
      trouble = e.what();
    }
  }

  Introduction introduce() {
    file_ = std::make_unique<File>(make_file(bytes_));
    own_ = std::make_unique<Mapping>(file_->get(), bytes_, PROT_READ | PROT_WRITE);
    std::random_device random;
    Introduction mine;
    mine.process = getpid();
    mine.descriptor = file_->get();
    mine.token = (std::uint64_t{random()} << 32U) | random();
    std::memcpy(own_->memory().data(), &mine.token, sizeof(mine.token));
    return mine;
  }

  void meet(const IncomingMessage& message) {
    const std::string what = "shared memory of rank " + std::to_string(message.from);
    Introduction its;
    if (message.bytes.size() != sizeof(its)) fail_sharing(what, "another kind of introduction");
    std::memcpy(&its, message.bytes.data(), sizeof(its));
    const std::string path =
        "/proc/" + std::to_string(its.process) + "/fd/" + std::to_string(its.descriptor);
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) fail_sharing(what, std::strerror(errno));
    auto mapping = std::make_unique<Mapping>(file.get(), bytes_, PROT_READ);
    const off_t size = lseek(file.get(), 0, SEEK_END);
    if (size != static_cast<off_t>(bytes_) || read_token(*mapping) != its.token)
      fail_sharing(what, "that of another process: the rank is on another machine");
    others_[static_cast<std::size_t>(message.from)] = std::move(mapping);
  }

  std::size_t bytes_;
  std::unique_ptr<File> file_;
  std::unique_ptr<Mapping> own_;
  std::vector<std::unique_ptr<Mapping>> others_;  // [ranks]
};

}  // namespace

std::unique_ptr<SharedMemory> SharedMemory::make(const Topology& topology, Transport& transport,
                                                 std::size_t bytes) {
  std::string trouble;
  auto memory = std::make_unique<NodeMemory>(topology, transport, bytes, trouble);
  if (!trouble.empty()) throw Error(ErrorCategory::kUsage, trouble);
  return memory;
}

std::unique_ptr<SharedMemory> SharedMemory::make_where_possible(const Topology& topology,
                                                                Transport& transport,
                                                                std::size_t bytes,
                                                                std::string& trouble) {
  trouble.clear();
  auto memory = std::make_unique<NodeMemory>(topology, transport, bytes, trouble);
  if (!trouble.empty()) return nullptr;
  return memory;
}

std::byte* Arena::take(std::size_t bytes) {
  const std::size_t rounded = (bytes + kLine - 1) / kLine * kLine;
  if (rounded > memory_.size() - used_) {
    fail_usage({"rows that a device shares with its node in one step",
                std::to_string(used_ + rounded) + " bytes",
                "at most " + std::to_string(memory_.size()), "use a smaller --max-rows"});
  }
  std::byte* at = memory_.data() + used_;
  used_ += rounded;
  return at;
}

}  // namespace gracemoe
