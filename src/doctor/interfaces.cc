#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <array>
#include <bit>

#include "doctor/system_facts.h"

namespace gracemoe {

std::vector<std::string> network_interfaces() {
  std::vector<std::string> names;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return names;
  for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
    const bool up = (i->ifa_flags & IFF_UP) != 0 && (i->ifa_flags & IFF_LOOPBACK) == 0;
    if (!up || i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr, text.data(),
              text.size());
    const auto* mask = reinterpret_cast<const sockaddr_in*>(i->ifa_netmask);
    const int bits = mask == nullptr ? 32 : std::popcount(mask->sin_addr.s_addr);
    names.push_back(std::string(i->ifa_name) + " " + text.data() + "/" + std::to_string(bits));
  }
  freeifaddrs(list);
  return names;
}

}  // namespace gracemoe
