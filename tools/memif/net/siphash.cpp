#include "net/siphash.hpp"

#include <cerrno>
#include <sys/random.h>
#include <system_error>

namespace memif::tool {

SipKey random_sip_key() {
  SipKey key;
  if (::getrandom(key.data(), sizeof key, 0) != sizeof key)
    throw std::system_error(errno, std::generic_category(), "no random numbers");
  return key;
}

}  // namespace memif::tool
