#include <memif/error.hpp>

namespace memif {
namespace {

const char* words(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_config:
      return "invalid configuration";
    case Errc::address_in_use:
      return "the socket is in use by a live listener";
    case Errc::not_a_socket:
      return "not a socket";
    case Errc::unknown_id:
      return "no interface of that id";
    case Errc::already_connected:
      return "interface already connected";
    case Errc::role_mismatch:
      return "the interface of that id is a client";
    case Errc::mode_mismatch:
      return "mode mismatch";
    case Errc::secret_required:
      return "secret required";
    case Errc::wrong_secret:
      return "wrong secret";
    case Errc::unsupported_version:
      return "unsupported protocol version";
    case Errc::too_many_regions:
      return "too many regions";
    case Errc::too_many_rings:
      return "too many rings";
    case Errc::bad_region:
      return "unusable region";
    case Errc::bad_ring:
      return "unusable ring";
    case Errc::wrong_cookie:
      return "wrong ring cookie";
    case Errc::missing_fd:
      return "missing file descriptor";
    case Errc::unexpected_fd:
      return "unexpected file descriptor";
    case Errc::malformed_message:
      return "malformed message";
    case Errc::unknown_message:
      return "unknown message type";
    case Errc::unexpected_message:
      return "unexpected message";
    case Errc::not_an_eventfd:
      return "interrupt descriptor is not an eventfd";
    case Errc::unsealed_memory:
      return "memory is not sealed against shrinking";
    case Errc::truncated_memory:
      return "the peer truncated shared memory in use";
    case Errc::peer_not_allowed:
      return "peer not allowed";
    case Errc::timed_out:
      return "handshake timed out";
    case Errc::peer_refused:
      return "refused by the peer";
    case Errc::peer_disconnected:
      return "disconnected by the peer";
    case Errc::peer_gone:
      return "peer gone";
    case Errc::broken_ring:
      return "broken ring";
    case Errc::closed:
      return "closed";
    case Errc::evicted:
      return "too many half-open connections";
    case Errc::too_much_memory:
      return "the peer's memory is above the limit";
    case Errc::fds_not_closed:
      return "too many descriptors still being closed";
    case Errc::pool_exhausted:
      return "too few free buffers in the pool";
  }
  return "unknown error";
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "memif"; }
  std::string message(int code) const override { return words(static_cast<Errc>(code)); }
};

}  // namespace

const std::error_category& memif_category() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), memif_category()}; }

Error system_error(int error_number, std::string what) {
  const std::error_code code(error_number, std::system_category());
  what += ": ";
  what += code.message();
  return {code, std::move(what)};
}

}  // namespace memif
