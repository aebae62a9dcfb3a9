// The control channel, up to INIT and around the order of messages.
#include <fcntl.h>
#include <sys/socket.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace message;
using C = RawClient;

std::vector<int> many(int fd, std::size_t count) { return std::vector<int>(count, fd); }

void init_as(C& c, void (*change)(Init&)) {
  c.hello();
  Init init = c.init();
  change(init);
  c.send(init);
}

constexpr std::size_t kernel_limit = 253;  // descriptors in one message

const AttackOnServer attacks[] = {
    // Before INIT, though a secret is set.
    {"AckBeforeInit", refused(Errc::unexpected_message), [](C& c) { c.hello(), c.send(Ack{}); }},
    {"HelloToAServer", refused(Errc::unexpected_message), [](C& c) { c.hello(), c.send(Hello{}); }},
    {"RegionBeforeInit", refused(Errc::unexpected_message),
     [](C& c) {
       c.hello(), c.make_memory();
       c.send(AddRegion{0, c.size}, {c.memory});
     }},
    {"RingBeforeInit", refused(Errc::unexpected_message),
     [](C& c) {
       c.hello(), c.make_memory();
       c.send(c.ring(true), {c.event()});
     }},
    {"ConnectBeforeInit", refused(Errc::unexpected_message), [](C& c) { c.hello(), c.send(Connect{"x"}); }},
    {"ConnectedToAServer", refused(Errc::unexpected_message), [](C& c) { c.hello(), c.send(Connected{"x"}); }},
    {"DisconnectBeforeInit", refused(Errc::peer_refused),
     [](C& c) {
       c.hello(), c.send(Disconnect{1, "bye"});
     }},
    {"WholeHandshakeWithoutInit", refused(Errc::unexpected_message),
     [](C& c) {
       c.hello(), c.make_memory();
       c.send(AddRegion{0, c.size}, {c.memory});
       c.send(c.ring(true), {c.event()});
       c.send(Connect{"x"});
     }},
    {"TypeZero", refused(Errc::unknown_message), [](C& c) { c.hello(), c.send_type(0); }},
    {"TypeNine", refused(Errc::unknown_message), [](C& c) { c.hello(), c.send_type(9); }},
    {"TypeOfAllOnes", refused(Errc::unknown_message), [](C& c) { c.hello(), c.send_type(0xffff); }},

    // Lengths.
    {"EmptyMessage", refused(Errc::malformed_message), [](C& c) { c.hello(), c.send_bytes(0); }},
    {"OneByte", refused(Errc::malformed_message), [](C& c) { c.hello(), c.send_bytes(1); }},
    {"OneByteShort", refused(Errc::malformed_message), [](C& c) { c.hello(), c.send_bytes(127); }},
    {"OneByteLong", refused(Errc::malformed_message), [](C& c) { c.hello(), c.send_bytes(129); }},
    {"SixtyKilobytes", refused(Errc::malformed_message), [](C& c) { c.hello(), c.send_bytes(60'000); }},
    {"ShortMessageWithDescriptors", refused(Errc::malformed_message),
     [](C& c) {
       c.admit();
       c.send_bytes(std::vector<std::byte>(64), many(make_pipe(c), kernel_limit));
     }},

    // INIT.
    {"NoSecret", refused(Errc::secret_required), [](C& c) { init_as(c, [](Init& i) { i.secret = {}; }); }},
    {"WrongSecret", refused(Errc::wrong_secret), [](C& c) { init_as(c, [](Init& i) { i.secret[0] ^= 1; }); }},
    {"SecretWrongInItsLastByte", refused(Errc::wrong_secret),
     [](C& c) { init_as(c, [](Init& i) { i.secret[10] ^= 1; }); }},
    {"PrefixOfTheSecret", refused(Errc::wrong_secret), [](C& c) { init_as(c, [](Init& i) { i.secret[10] = 0; }); }},
    {"SecretWithATail", refused(Errc::wrong_secret), [](C& c) { init_as(c, [](Init& i) { i.secret[23] = 'x'; }); }},
    {"UnknownId", refused(Errc::unknown_id), [](C& c) { init_as(c, [](Init& i) { i.id = 8; }); }},
    {"LargestId", refused(Errc::unknown_id), [](C& c) { init_as(c, [](Init& i) { i.id = ~0u; }); }},
    {"WrongMode", refused(Errc::mode_mismatch), [](C& c) { init_as(c, [](Init& i) { i.mode = Mode::ip; }); }},
    {"ModeThatDoesNotExist", refused(Errc::malformed_message),
     [](C& c) { init_as(c, [](Init& i) { i.mode = static_cast<Mode>(255); }); }},
    {"VersionZero", refused(Errc::unsupported_version), [](C& c) { init_as(c, [](Init& i) { i.version = 0; }); }},
    {"VersionOfTheFuture", refused(Errc::unsupported_version),
     [](C& c) { init_as(c, [](Init& i) { i.version = 0x0300; }); }},
    {"EscapeSequencesInTheName", harmless,
     [](C& c) {
       init_as(c, [](Init& i) { i.name = "\x1b]0;owned\a\x1b[2J"; });
       c.expect<Ack>();
     }},
    {"InitTwice", refused(Errc::unexpected_message), [](C& c) { c.admit(), c.send(c.init()); }},
    {"HelloAfterInit", refused(Errc::unexpected_message), [](C& c) { c.admit(), c.send(Hello{}); }},
    {"AckAfterInit", refused(Errc::unexpected_message), [](C& c) { c.admit(), c.send(Ack{}); }},
    {"DisconnectAfterInit", refused(Errc::peer_refused), [](C& c) { c.admit(), c.send(Disconnect{}); }},
    {"HangsUpAfterInit", refused(Errc::peer_gone), [](C& c) { c.admit(), c.close_socket(); }},
    {"HangsUpAtOnce", refused(Errc::peer_gone), [](C& c) { c.open(), c.close_socket(); }},
    {"HalfClosesAtOnce", refused(Errc::peer_gone), [](C& c) { c.hello(), ::shutdown(c.socket(), SHUT_WR); }},

    // Descriptors where none belong.
    {"InitWithADescriptor", refused(Errc::unexpected_fd), [](C& c) { c.hello(), c.send(c.init(), {make_pipe(c)}); }},
    {"InitWithAllDescriptors", refused(Errc::unexpected_fd),
     [](C& c) { c.hello(), c.send(c.init(), many(make_pipe(c), kernel_limit)); }},
    {"DisconnectWithAllDescriptors", refused(Errc::peer_refused),
     [](C& c) { c.hello(), c.send(Disconnect{}, many(make_pipe(c), kernel_limit)); }},
    {"UnknownTypeWithAllDescriptors", refused(Errc::unknown_message),
     [](C& c) {
       c.hello();
       c.send_bytes(message::Bytes{}, many(make_pipe(c), kernel_limit));
     }},
    {"ConnectWithADescriptor", refused(Errc::unexpected_fd),
     [](C& c) { c.rings(), c.send(Connect{"x"}, {make_pipe(c)}); }},

    // Saying nothing, and saying much.
    {"SaysNothing", refused(Errc::timed_out), [](C& c) { c.hello(); }, Setup::short_timeout},
    {"SaysNothingAfterInit", refused(Errc::timed_out), [](C& c) { c.admit(); }, Setup::short_timeout},
    {"SaysNothingAfterTheRings", refused(Errc::timed_out), [](C& c) { c.rings(); }, Setup::short_timeout},
    {"AThousandSilentConnections", refused(Errc::evicted),
     [](C& c) {
       for (int i = 0; i < 1000; ++i) {
         c.open();
         c.keep(::fcntl(c.socket(), F_DUPFD_CLOEXEC, 0));
       }
       c.close_socket();
     }},
    {"NeverReadsTheReplies", refused(Errc::timed_out),
     [](C& c) {
       c.open(), c.make_memory();
       c.send(c.init());
       for (std::uint16_t i = 0; i < 200; ++i) c.send(AddRegion{i, c.size}, {c.memory});
       c.send(Hello{});
     },
     Setup::short_timeout},
    {"SameIdTwice", refused(Errc::already_connected),
     [](C& c) {
       c.connect();
       c.keep(::fcntl(c.socket(), F_DUPFD_CLOEXEC, 0));
       c.hello();
       c.send(c.init());
     }},

    // After the link is up.
    {"InitWhenUp", lost(Errc::unexpected_message), [](C& c) { c.connect(), c.send(c.init()); }},
    {"RegionWhenUp", lost(Errc::unexpected_message),
     [](C& c) {
       c.connect(), c.send(AddRegion{1, c.size}, {c.memory});
     }},
    {"RingWhenUp", lost(Errc::unexpected_message), [](C& c) { c.connect(), c.send(c.ring(true), {c.event()}); }},
    {"ConnectTwice", lost(Errc::unexpected_message), [](C& c) { c.connect(), c.send(Connect{"x"}); }},
    {"ConnectedWhenUp", lost(Errc::unexpected_message), [](C& c) { c.connect(), c.send(Connected{"x"}); }},
    {"AckWhenUp", lost(Errc::unexpected_message), [](C& c) { c.connect(), c.send(Ack{}); }},
    {"GarbageWhenUp", lost(Errc::malformed_message), [](C& c) { c.connect(), c.send_bytes(5000); }},
    {"DescriptorsWhenUp", lost(Errc::peer_disconnected),
     [](C& c) { c.connect(), c.send(Disconnect{}, many(make_pipe(c), kernel_limit)); }},
    {"EscapeSequencesInTheReason", lost(Errc::peer_disconnected),
     [](C& c) {
       c.connect(), c.send(Disconnect{~0u, std::string(96, '\x1b')});
     }},
    {"HangsUpWhenUp", lost(Errc::peer_gone), [](C& c) { c.connect(), c.close_socket(); }},
};

}  // namespace

std::span<const AttackOnServer> control_attacks_on_server() { return attacks; }

}  // namespace memif::hostile
