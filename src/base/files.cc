#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <streambuf>
#include <utility>

#include "base/error.h"

namespace gracemoe {
namespace fs = std::filesystem;
namespace {

// A stream buffer over a file descriptor that remembers why a write failed; std::ofstream forgets
// it.
class DescriptorBuffer : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd) : fd_(fd) {
    setp(block_.data(), block_.data() + block_.size());
  }
  int error() const { return error_; }
  bool flush_block() {
    const bool ok = write_all(pbase(), static_cast<std::size_t>(pptr() - pbase()));
    setp(block_.data(), block_.data() + block_.size());
    return ok;
  }

 protected:
  int_type overflow(int_type c) override {
    if (!flush_block()) return traits_type::eof();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    if (size == 0) return 0;  // `text` may be null
    if (size <= epptr() - pptr()) {
      std::memcpy(pptr(), text, static_cast<std::size_t>(size));
      pbump(static_cast<int>(size));
      return size;
    }
    return flush_block() && write_all(text, static_cast<std::size_t>(size)) ? size : 0;
  }
  int sync() override { return flush_block() ? 0 : -1; }

 private:
  bool write_all(const char* text, std::size_t size) {
    while (size > 0 && error_ == 0) {
      const ssize_t done = write(fd_, text, size);
      if (done > 0) {
        text += done;
        size -= static_cast<std::size_t>(done);
      } else if (done == 0 || errno != EINTR) {
        error_ = done == 0 ? EIO : errno;
      }
    }
    return error_ == 0;
  }
  int fd_;
  int error_ = 0;
  std::array<char, 65536> block_{};
};

[[noreturn]] void cannot_write(const fs::path& path, int error) {
  const bool full = error == ENOSPC || error == EFBIG || error == EDQUOT;
  fail_output({.what = "cannot write " + path.string(),
               .got = std::strerror(error),
               .wanted = "",
               .action = full ? "free some space or choose another place"
                              : "check that the folder exists and is writable"});
}

// The file being written: removed again unless commit() has put it in its place.
class PendingFile {
 public:
  explicit PendingFile(const fs::path& path) : target_(path) {
    struct stat info {};
    const bool exists = stat(path.c_str(), &info) == 0;
    if (exists && S_ISDIR(info.st_mode)) cannot_write(path, EISDIR);
    if (exists && !S_ISREG(info.st_mode)) {  // a device or a pipe: nothing to replace
      fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
      if (fd_ < 0) cannot_write(path, errno);
      return;
    }
    std::error_code ignored;
    if (exists && fs::is_symlink(path, ignored)) target_ = fs::canonical(path);
    open_temporary();
    if (exists) fchmod(fd_, info.st_mode & 07777U);
  }
  ~PendingFile() {
    if (fd_ >= 0) close(fd_);
    if (!temporary_.empty()) unlink(temporary_.c_str());
  }
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

  int fd() const { return fd_; }
  // fsync first: the rename must never reach the disk before the data.
  void commit() {
    if (!temporary_.empty() && fsync(fd_) != 0 && errno != EINVAL) cannot_write(target_, errno);
    if (close(std::exchange(fd_, -1)) != 0) cannot_write(target_, errno);
    if (temporary_.empty()) return;
    if (rename(temporary_.c_str(), target_.c_str()) != 0) cannot_write(target_, errno);
    temporary_.clear();
  }

 private:
  void open_temporary() {
    const std::string base = target_.string() + "." + std::to_string(getpid()) + ".";
    for (int attempt = 0; attempt < 100; ++attempt) {
      const std::string name = base + std::to_string(attempt) + ".tmp";
      fd_ = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd_ >= 0) {
        temporary_ = name;
        return;
      }
      if (errno != EEXIST) break;
    }
    cannot_write(target_, errno);
  }
  fs::path target_, temporary_;
  int fd_ = -1;
};

}  // namespace

bool file_exists(const fs::path& path) {
  std::error_code unreadable;
  const fs::file_status status = fs::status(path, unreadable);
  return status.type() != fs::file_type::not_found;
}

std::string read_file(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  std::string text;
  std::array<char, 65536> block;
  while (error == 0) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got == 0) break;
    if (got > 0) {
      text.append(block.data(), static_cast<std::size_t>(got));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (fd >= 0) close(fd);
  if (error != 0) {
    fail_input({.what = path.string(),
                .got = std::strerror(error),
                .wanted = "a readable file",
                .action = "check the path and its permissions"});
  }
  return text;
}

void write_file(const fs::path& path, std::string_view text) {
  write_file(path, [&](std::ostream& out) {
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
  });
}

void write_file(const fs::path& path, const std::function<void(std::ostream&)>& writer) {
  PendingFile file(path);
  DescriptorBuffer buffer(file.fd());
  std::ostream out(&buffer);
  writer(out);
  out.flush();
  if (buffer.error() != 0) cannot_write(path, buffer.error());
  if (!out) cannot_write(path, EIO);
  file.commit();
}

void require_writable(const fs::path& path) {
  const PendingFile probe(path);
}

}  // namespace gracemoe
