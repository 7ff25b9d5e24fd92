#include "base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>

#include "base/mapped_file.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

// A disk with room for `bytes` more in each file: without root, a full disk's twin.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

std::string write_error(const fs::path& path, std::string_view text) {
  return error_of([&] { write_file(path, text); }, ErrorCategory::kOutput);
}

TEST(Files, WritesAndReadsBack) {
  const TempDir dir;
  std::string text(200'000, 'x');
  text[70'000] = '\0';
  write_file(dir / "a", text);
  EXPECT_EQ(read_file(dir / "a"), text);
  write_file(dir / "a", "shorter");
  EXPECT_EQ(read_file(dir / "a"), "shorter");
  write_file(dir / "empty", "");
  EXPECT_EQ(read_file(dir / "empty"), "");
  EXPECT_EQ(files_in(dir.path()), 2U) << "a temporary was left behind";
}

TEST(Files, WriterCallbackMixesSmallAndLargePieces) {
  const TempDir dir;
  std::string wanted;
  write_file(dir / "a", [&](std::ostream& out) {
    for (int i = 0; i < 300; ++i) {
      const std::string piece(static_cast<std::size_t>(i * 7), static_cast<char>('a' + i % 26));
      wanted += piece + ",";
      out << piece << ',';
    }
  });
  EXPECT_EQ(read_file(dir / "a"), wanted);
}

TEST(Files, FullDiskKeepsTheOldFile) {
  const TempDir dir;
  write_file(dir / "plan.json", "old");
  std::string message;
  {
    const FileSizeLimit limit(100'000);
    message = write_error(dir / "plan.json", std::string(300'000, 'x'));
  }
  EXPECT_THAT(message, AllOf(HasSubstr("cannot write"), HasSubstr("plan.json"),
                             HasSubstr("File too large"), HasSubstr("free some space")));
  EXPECT_EQ(read_file(dir / "plan.json"), "old");
  EXPECT_EQ(files_in(dir.path()), 1U) << "a temporary was left behind";
}

TEST(Files, FullDiskIsSeenEvenWhenTheLastBufferFailsIt) {
  const TempDir dir;
  std::string message;
  {
    const FileSizeLimit limit(10);
    message = write_error(dir / "a", "eleven bytes");
  }
  EXPECT_THAT(message, HasSubstr("File too large"));
  EXPECT_EQ(files_in(dir.path()), 0U);
}

TEST(Files, FullDeviceIsReported) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  EXPECT_THAT(write_error("/dev/full", "x"),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left"), HasSubstr("free some")));
  EXPECT_EQ(write_error("/dev/null", "x"), "");
}

TEST(Files, UnwritablePlaces) {
  const TempDir dir;
  write_file(dir / "file", "x");
  EXPECT_THAT(write_error(dir / "none/a", "x"),
              AllOf(HasSubstr("none/a"), HasSubstr("No such file"), HasSubstr("folder exists")));
  EXPECT_THAT(write_error(dir / "file/a", "x"), HasSubstr("Not a directory"));
  EXPECT_THAT(write_error(dir.path(), "x"), HasSubstr("Is a directory"));
  if (geteuid() == 0) return;  // root may write anywhere
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(write_error(dir / "a", "x"), HasSubstr("Permission denied"));
  fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST(Files, AWriterThatThrowsLeavesNothing) {
  const TempDir dir;
  write_file(dir / "a", "old");
  EXPECT_THROW(write_file(dir / "a",
                          [](std::ostream& out) {
                            out << "half";
                            throw std::runtime_error("stop");
                          }),
               std::runtime_error);
  EXPECT_EQ(read_file(dir / "a"), "old");
  EXPECT_EQ(files_in(dir.path()), 1U);
}

TEST(Files, ASymbolicLinkStaysOne) {
  const TempDir dir;
  write_file(dir / "real", "old");
  fs::create_symlink("real", dir / "link");
  write_file(dir / "link", "new");
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(read_file(dir / "real"), "new");
}

TEST(Files, KeepsThePermissionsOfAnExistingFile) {
  const TempDir dir;
  write_file(dir / "a", "old");
  fs::permissions(dir / "a", fs::perms{0640});
  write_file(dir / "a", "new");
  EXPECT_EQ(fs::status(dir / "a").permissions(), fs::perms{0640});
}

TEST(Files, ReadErrors) {
  const TempDir dir;
  const auto read_error = [](const fs::path& path) { return error_of([&] { read_file(path); }); };
  EXPECT_THAT(read_error(dir / "none"), AllOf(HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(read_error(dir.path()), HasSubstr("Is a directory"));
}

TEST(Files, ExistenceIsToldApartFromReadability) {
  const TempDir dir;
  EXPECT_TRUE(file_exists(dir.path()));
  EXPECT_FALSE(file_exists(dir / "none"));
}

TEST(MappedFile, MapsMovesAndRefuses) {
  const TempDir dir;
  write_file(dir / "a", "hello");
  write_file(dir / "empty", "");
  MappedFile a(dir / "a");
  MappedFile b(std::move(a));
  ASSERT_EQ(b.bytes().size(), 5U);
  EXPECT_EQ(static_cast<char>(b.bytes()[4]), 'o');
  MappedFile c(dir / "empty");
  EXPECT_TRUE(c.bytes().empty());
  c = std::move(b);
  EXPECT_EQ(c.bytes().size(), 5U);

  const auto map_error = [](const fs::path& path) {
    return error_of([&] { const MappedFile file(path); });
  };
  EXPECT_THAT(map_error(dir / "none"), AllOf(HasSubstr("none"), HasSubstr("No such file")));
  EXPECT_THAT(map_error(dir.path()), HasSubstr("a directory"));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(map_error(dir / "pipe"), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace gracemoe
