// For the message of a run whose numbers are not finite any more: which weights made them so.
#pragma once
#include <string>

#include "model/checkpoint.h"

namespace gracemoe {

// "tensor 'model.layers.3.mlp.gate.weight' holds 1 value that is not finite: ..." of the first such
// tensor of the transformer's layers first .. last, else of those that belong to no layer; if there
// is none, that the numbers grew beyond float32. Reads all of them, so only where a run has failed.
std::string damage(const Checkpoint& checkpoint, int first, int last);

}  // namespace gracemoe
