// YaRN: rotary positions for contexts longer than a model was first trained on.
#pragma once
#include "compute/rope.h"
#include "model/model_config.h"

namespace gracemoe {

// Pairs that turn more than beta_fast times within the original context keep their frequency, those
// that turn fewer than beta_slow times have it divided by `factor`, between them it is blended by
// the pair's index.
Rope yarn_rope(int dim, double theta, const YarnConfig& yarn);
// 0.1 * mscale * ln(factor) + 1, or 1 where nothing is stretched. The softmax's scale carries the
// square of yarn_mscale(factor, mscale_all_dim).
double yarn_mscale(double factor, double mscale);

}  // namespace gracemoe
