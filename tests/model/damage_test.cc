#include "model/damage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

template <class Bits>
TensorView view(DType dtype, const std::vector<Bits>& bits) {
  return {dtype, {static_cast<std::int64_t>(bits.size())}, std::as_bytes(std::span(bits))};
}

class Damage : public testing::Test {
 protected:
  Damage() {
    write_safetensors(folder_ / "model.safetensors",
                      {{"model.embed_tokens.weight", view(DType::kBF16, good_)},
                       {"model.layers.0.a", view(DType::kBF16, infinite_)},
                       {"model.layers.1.a", view(DType::kF32, float32_)},
                       {"model.layers.2.a", view(DType::kF16, float16_)},
                       {"model.layers.10.a", view(DType::kF16, good_)},
                       {"model.norm.weight", view(DType::kBF16, infinite_)}},
                      {});
  }
  std::string said(int first, int last) const {
    return damage(Checkpoint(folder_.path()), first, last);
  }

 private:
  const TempDir folder_;
  const std::vector<std::uint16_t> good_{0x0001, 0x3f80, 0x3bff};
  const std::vector<std::uint16_t> infinite_{0x3f80, 0x7f80, 0xffc0};
  const std::vector<std::uint16_t> float16_{0x7bff, 0x7f80,
                                            0x3c00};  // the second: NaN in float16 too
  const std::vector<std::uint32_t> float32_{0x3f800000, 0x7f7fffff, 0xff800000};
};

TEST_F(Damage, NamesTheFirstTensorOfTheLayersAsked) {
  EXPECT_THAT(said(0, 2), HasSubstr("'model.layers.0.a' holds 2 values that are not finite"));
  EXPECT_THAT(said(1, 2), HasSubstr("'model.layers.1.a' holds 1 value that is not finite"));
  EXPECT_THAT(said(2, 9), HasSubstr("'model.layers.2.a' holds 1 value that is not finite"));
}

TEST_F(Damage, ComesToWhatIsInNoLayerLast) {
  EXPECT_THAT(said(3, 10), HasSubstr("'model.norm.weight' holds 2 values"));
}

TEST(DamageOfNothing, SaysThatTheWeightsAreFinite) {
  const Checkpoint sound(GRACEMOE_SOURCE_DIR "/tests/data/olmoe_tiny");
  EXPECT_THAT(damage(sound, 0, 1), HasSubstr("the weights there are finite"));
}

}  // namespace
}  // namespace gracemoe
