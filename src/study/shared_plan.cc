#include "study/shared_plan.h"

namespace gracemoe {

std::shared_ptr<const Plan> share_plan(const std::string& text, const std::string& name,
                                       Transport& transport) {
  const Bytes bytes = transport.broadcast(std::as_bytes(std::span(text)), 0);
  return std::make_shared<const Plan>(
      parse_plan({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name));
}

}  // namespace gracemoe
