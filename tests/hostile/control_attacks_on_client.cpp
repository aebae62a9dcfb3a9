// An evil server's side of the control channel.
#include <fcntl.h>
#include <sys/socket.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace message;
using S = RawServer;

std::vector<int> all_of(int fd) { return std::vector<int>(253, fd); }

void greet(S& s, void (*change)(Hello&)) {
  s.accept();
  Hello hello = s.greeting();
  change(hello);
  s.send(hello);
}

const AttackOnClient attacks[] = {
    // In place of HELLO.
    {"AckForAGreeting", refused(Errc::unexpected_message), [](S& s) { s.accept(), s.send(Ack{}); }},
    {"InitToAClient", refused(Errc::unexpected_message), [](S& s) { s.accept(), s.send(Init{}); }},
    {"RegionToAClient", refused(Errc::unexpected_message),
     [](S& s) {
       s.accept(), s.send(AddRegion{0, 4096}, {make_memfd(s, 4096)});
     }},
    {"RingToAClient", refused(Errc::unexpected_message), [](S& s) { s.accept(), s.send(AddRing{}, {make_pipe(s)}); }},
    {"ConnectToAClient", refused(Errc::unexpected_message), [](S& s) { s.accept(), s.send(Connect{"x"}); }},
    {"ConnectedForAGreeting", refused(Errc::unexpected_message), [](S& s) { s.accept(), s.send(Connected{"x"}); }},
    {"DisconnectForAGreeting", refused(Errc::peer_refused),
     [](S& s) {
       s.accept(), s.send(Disconnect{1, "no"});
     }},
    {"TypeZero", refused(Errc::unknown_message), [](S& s) { s.accept(), s.send_type(0); }},
    {"TypeNine", refused(Errc::unknown_message), [](S& s) { s.accept(), s.send_type(9); }},
    {"EmptyMessage", refused(Errc::malformed_message), [](S& s) { s.accept(), s.send_bytes(0); }},
    {"OneByteShort", refused(Errc::malformed_message), [](S& s) { s.accept(), s.send_bytes(127); }},
    {"OneByteLong", refused(Errc::malformed_message), [](S& s) { s.accept(), s.send_bytes(129); }},
    {"SixtyKilobytes", refused(Errc::malformed_message), [](S& s) { s.accept(), s.send_bytes(60'000); }},
    {"GreetingWithADescriptor", refused(Errc::unexpected_fd),
     [](S& s) { s.accept(), s.send(s.greeting(), {make_pipe(s)}); }},
    {"GreetingWithAllDescriptors", refused(Errc::unexpected_fd),
     [](S& s) { s.accept(), s.send(s.greeting(), all_of(make_pipe(s))); }},
    {"HangsUpAtOnce", refused(Errc::peer_gone), [](S& s) { s.accept(), s.close_socket(); }},
    {"NeverAccepts", refused(Errc::timed_out), [](S&) {}, Setup::short_timeout},
    {"SaysNothing", refused(Errc::timed_out), [](S& s) { s.accept(); }, Setup::short_timeout},

    // HELLO with values that cannot be.
    {"VersionsOfTheFuture", refused(Errc::unsupported_version),
     [](S& s) { greet(s, [](Hello& h) { h.min_version = h.max_version = 0x0300; }); }},
    {"VersionsOfThePast", refused(Errc::unsupported_version),
     [](S& s) { greet(s, [](Hello& h) { h.min_version = h.max_version = 0x0100; }); }},
    {"VersionsTheWrongWayRound", refused(Errc::unsupported_version),
     [](S& s) { greet(s, [](Hello& h) { h.min_version = 0xffff, h.max_version = 0; }); }},
    {"RingsOfNoSize", refused(Errc::malformed_message),
     [](S& s) { greet(s, [](Hello& h) { h.max_log2_ring_size = 0; }); }},
    {"GreetsTwice", refused(Errc::unexpected_message),
     [](S& s) { s.accept(), s.send(s.greeting()), s.send(s.greeting()); }},
    {"LargestLimitsThereAre", harmless,
     [](S& s) {
       greet(s, [](Hello& h) {
         h.max_region = h.max_m2s_ring = h.max_s2m_ring = 65535;
         h.max_log2_ring_size = 255;
         h.name = std::string(32, '\x1b');
       });
       s.expect<Init>();
     }},

    // In place of ACK.
    {"ConnectedForAnAck", refused(Errc::unexpected_message), [](S& s) { s.hello(), s.send(Connected{"x"}); }},
    {"InitForAnAck", refused(Errc::unexpected_message), [](S& s) { s.hello(), s.send(Init{}); }},
    {"RegionForAnAck", refused(Errc::unexpected_message),
     [](S& s) {
       s.hello(), s.send(AddRegion{0, 4096}, {make_memfd(s, 4096)});
     }},
    {"AckWithADescriptor", refused(Errc::unexpected_fd), [](S& s) { s.hello(), s.send(Ack{}, {make_pipe(s)}); }},
    {"AckWithAllDescriptors", refused(Errc::unexpected_fd),
     [](S& s) { s.hello(), s.send(Ack{}, all_of(make_pipe(s))); }},
    {"ShortAck", refused(Errc::malformed_message), [](S& s) { s.hello(), s.send_bytes(2); }},
    {"AckTwice", refused(Errc::unexpected_message),
     [](S& s) {
       s.hello();
       for (int i = 0; i < 20; ++i) s.send(Ack{});
     }},
    {"AckOfEverythingAhead", refused(Errc::unexpected_message),
     [](S& s) {
       s.accept(), s.send(s.greeting());
       for (int i = 0; i < 300; ++i) s.send(Ack{});
     }},
    {"RefusesWithEscapeSequences", refused(Errc::peer_refused),
     [](S& s) {
       s.hello(), s.send(Disconnect{~0u, std::string(96, '\x1b')});
     }},
    {"RefusesWithoutAWord", refused(Errc::peer_refused), [](S& s) { s.hello(), s.send(Disconnect{}); }},
    {"HangsUpAfterInit", refused(Errc::peer_gone), [](S& s) { s.hello(), s.close_socket(); }},
    {"HangsUpAfterTheAck", refused(Errc::peer_gone), [](S& s) { s.admit(), s.close_socket(); }},
    {"NeverAcknowledges", refused(Errc::timed_out), [](S& s) { s.hello(); }, Setup::short_timeout},
    {"AcknowledgesInitOnly", refused(Errc::timed_out), [](S& s) { s.admit(); }, Setup::short_timeout},

    // In place of CONNECTED.
    {"AckForConnected", refused(Errc::unexpected_message), [](S& s) { s.layout(), s.send(Ack{}); }},
    {"GreetingForConnected", refused(Errc::unexpected_message), [](S& s) { s.layout(), s.send(s.greeting()); }},
    {"ConnectedWithADescriptor", refused(Errc::unexpected_fd),
     [](S& s) { s.layout(), s.send(Connected{"x"}, {make_pipe(s)}); }},
    {"ConnectedWithAllDescriptors", refused(Errc::unexpected_fd),
     [](S& s) { s.layout(), s.send(Connected{"x"}, all_of(make_pipe(s))); }},
    {"NeverConnects", refused(Errc::timed_out), [](S& s) { s.layout(); }, Setup::short_timeout},
    {"HangsUpInsteadOfConnecting", refused(Errc::peer_gone), [](S& s) { s.layout(), s.close_socket(); }},

    // After the link is up.
    {"ConnectedTwice", lost(Errc::unexpected_message), [](S& s) { s.connect(), s.send(Connected{"x"}); }},
    {"AckWhenUp", lost(Errc::unexpected_message), [](S& s) { s.connect(), s.send(Ack{}); }},
    {"GreetingWhenUp", lost(Errc::unexpected_message), [](S& s) { s.connect(), s.send(s.greeting()); }},
    {"RegionWhenUp", lost(Errc::unexpected_message),
     [](S& s) {
       s.connect(), s.send(AddRegion{2, 4096}, {make_memfd(s, 4096)});
     }},
    {"GarbageWhenUp", lost(Errc::malformed_message), [](S& s) { s.connect(), s.send_bytes(5000); }},
    {"EmptyMessageWhenUp", lost(Errc::malformed_message), [](S& s) { s.connect(), s.send_bytes(0); }},
    {"DescriptorsWhenUp", lost(Errc::peer_disconnected),
     [](S& s) { s.connect(), s.send(Disconnect{}, all_of(make_pipe(s))); }},
    {"HalfClosesWhenUp", lost(Errc::peer_gone), [](S& s) { s.connect(), ::shutdown(s.socket(), SHUT_WR); }},
    {"HangsUpWhenUp", lost(Errc::peer_gone), [](S& s) { s.connect(), s.close_socket(); }},
};

}  // namespace

std::span<const AttackOnClient> control_attacks_on_client() { return attacks; }

}  // namespace memif::hostile
