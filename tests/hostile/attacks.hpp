// The attacks by name: what the peer does, and what must come of it.
#pragma once

#include <memif/error.hpp>

#include "raw_peer.hpp"

namespace memif::hostile {

// What the victim's operator must see.
enum class Outcome {
  refused,     // the handshake ends with a reason and is counted
  lost,        // the link was up and goes down with a reason
  dropped_rx,  // packets are dropped and counted by kind; the link stays up
  dropped_tx,  // posted buffers are given back and counted; the link stays up
  harmless,    // nothing: the link stays up, or nobody is admitted; what is delivered is right
  contained,   // whatever happens happens within bounds: random attacks
};

struct Expected {
  Outcome outcome;
  Errc code{};
};
inline Expected refused(Errc code) { return {Outcome::refused, code}; }
inline Expected lost(Errc code) { return {Outcome::lost, code}; }
inline constexpr Expected dropped_rx{Outcome::dropped_rx};
inline constexpr Expected dropped_tx{Outcome::dropped_tx};
inline constexpr Expected harmless{Outcome::harmless};
inline constexpr Expected contained{Outcome::contained};

// The longest packet that a client takes which is attacked: its buffers are its own, so there are no longer ones than
// its ring has room for. The C API has no setting for that.
inline constexpr std::uint32_t clients_max_packet = 32 << 10;

// What an attack needs of its victim beyond the usual.
enum class Setup { usual, short_timeout, second_timeout, unsealed_memory, sealed_only };

template <class Peer>
struct AttackBy {
  std::string name;
  Expected expected;
  std::function<void(Peer&)> run;
  Setup setup = Setup::usual;
};
using AttackOnServer = AttackBy<RawClient>;
using AttackOnClient = AttackBy<RawServer>;

// One table for each class of attack.
std::span<const AttackOnServer> control_attacks_on_server();
std::span<const AttackOnServer> layout_attacks_on_server();
std::span<const AttackOnServer> file_attacks_on_server();
std::span<const AttackOnServer> memory_attacks_on_server();
std::span<const AttackOnServer> closing_attacks_on_server();
std::span<const AttackOnClient> control_attacks_on_client();
std::span<const AttackOnClient> memory_attacks_on_client();
std::span<const AttackOnClient> closing_attacks_on_client();

// Every point at which the peer may stop: it does so there, by SIGSTOP, and tells that it is done when it goes on.
// The outcome is what its death there comes to.
std::vector<AttackOnServer> deaths_of_client();
std::vector<AttackOnClient> deaths_of_server();

std::vector<AttackOnServer> attacks_on_server();
std::vector<AttackOnClient> attacks_on_client();

}  // namespace memif::hostile
