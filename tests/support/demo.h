// The shipped model, its texts and its golden file, for tests that run the whole engine in this
// process.
#pragma once
#include <filesystem>
#include <memory>

#include "runtime/deployment.h"

namespace gracemoe {

inline std::filesystem::path source_dir() {
  return GRACEMOE_SOURCE_DIR;
}
inline std::filesystem::path demo_model() {
  return source_dir() / "models/gracemoe-demo";
}
inline std::filesystem::path test_data(const std::string& name) {
  return source_dir() / "tests/data" / name;
}

inline DeploymentOptions demo_options(bool reference) {
  DeploymentOptions options;
  options.model = demo_model();
  options.reference_backend = reference;
  return options;
}

}  // namespace gracemoe
