// Routing statistics, and TensorRT-LLM's: the input as the one rank's file of a folder.
#include "fuzz/fuzz_target.h"
#include "interop/tensorrt_llm.h"
#include "support/temp_dir.h"
#include "trace/statistics.h"

namespace {

struct Folder {
  explicit Folder(const std::filesystem::path& file) {
    std::FILE* meta = std::fopen((dir / "meta_info.json").c_str(), "w");
    gracemoe::expect(meta != nullptr, "no temporary folder");
    std::fputs(R"({"num_experts": 8, "num_experts_per_token": 2})", meta);
    std::fclose(meta);
    std::filesystem::create_symlink(file, dir / "rank0.safetensors");
  }
  gracemoe::TempDir dir;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static MemoryFile file;
  static const Folder folder(file.path());
  file.holding(data, size);
  expect_errors_only([&] { read_statistics(file.path()); });
  expect_errors_only([&] { read_trtllm_statistics(folder.dir.path()); });
  return 0;
}
