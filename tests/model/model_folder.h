// Copies of a small model that a test may damage.
#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "base/files.h"
#include "base/json.h"
#include "support/temp_dir.h"

namespace gracemoe {

inline std::filesystem::path tiny_model() {
  return GRACEMOE_SOURCE_DIR "/tests/data/olmoe_tiny";
}
inline std::filesystem::path demo_model() {
  return GRACEMOE_SOURCE_DIR "/models/gracemoe-demo";
}

class ModelFolder {
 public:
  explicit ModelFolder(const std::filesystem::path& original = tiny_model()) {
    for (const auto& file : std::filesystem::directory_iterator(original)) {
      std::filesystem::copy_file(file.path(), dir_.path() / file.path().filename());
    }
  }
  const std::filesystem::path& path() const { return dir_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return dir_ / name; }

  void remove(const std::string& file) const { std::filesystem::remove(dir_ / file); }
  void edit_json(const std::string& file, const std::function<void(Json&)>& change) const {
    Json json = read_json(dir_ / file);
    change(json);
    write_file(dir_ / file, json.dump(1));
  }

 private:
  TempDir dir_;
};

}  // namespace gracemoe
