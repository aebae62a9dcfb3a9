// Descriptors that take long to close: sockets with unsent data that close() waits for (SO_LINGER), as any user may
// have them. The peer keeps no copy, so whoever holds the last one waits.
#include <arpa/inet.h>
#include <csignal>
#include <fstream>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace message;

constexpr std::size_t many = 40;
constexpr int seconds = 5;  // far more than a call may take; the wait is over when the peer cleans up

void check(bool good, const char* what) {
  if (!good) give_up(what);
}

// The other end is kept, and reads nothing.
int make_lingering(RawChannel& owner) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int small = 4096;
  ::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const to = reinterpret_cast<sockaddr*>(&address);
  check(::bind(listener, to, length) == 0 && ::listen(listener, 1) == 0, "listen");
  check(::getsockname(listener, to, &length) == 0, "getsockname");
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(::connect(fd, to, length) == 0, "connect");
  owner.keep(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  ::close(listener);
  const std::vector<char> data(std::size_t{1} << 16);
  while (::send(fd, data.data(), data.size(), MSG_DONTWAIT) > 0) {
  }
  const linger wait{.l_onoff = 1, .l_linger = seconds};
  check(::setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0, "SO_LINGER");
  return fd;
}

// The victim stands still meanwhile: it must not be done with a descriptor before this
// process has closed its own, or this one would be who waits.
class Frozen {
 public:
  Frozen() {
    ::kill(attacked_process, SIGSTOP);
    until("the victim stands still", [] {
      std::ifstream stat("/proc/" + std::to_string(attacked_process) + "/stat");
      std::string text;
      std::getline(stat, text);
      return text.compare(text.rfind(')') + 2, 1, "T") == 0;
    });
  }
  ~Frozen() { ::kill(attacked_process, SIGCONT); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
};

// Sends it away for good.
template <class Send>
void give_away(RawChannel& owner, std::size_t count, Send send) {
  std::vector<int> fds;
  for (std::size_t i = 0; i < count; ++i) fds.push_back(make_lingering(owner));
  const Frozen frozen;
  send(fds);
  for (const int fd : fds) ::close(fd);
}

void give_away(RawChannel& owner, const Message& message, std::size_t count = 1) {
  give_away(owner, count, [&](const std::vector<int>& fds) { owner.send(message, fds); });
}

// The victim is done with the connection at the first of the two.
void give_away_behind(RawChannel& owner, const Message& first, const Message& second) {
  give_away(owner, many, [&](const std::vector<int>& fds) { owner.send(first), owner.send(second, fds); });
}

using C = RawClient;
const AttackOnServer on_server[] = {
    {"LingeringRegionBeforeInit", refused(Errc::unexpected_message),
     [](C& c) {
       c.hello(), give_away(c, AddRegion{0, 4096});
     }},
    {"LingeringWithInit", refused(Errc::unexpected_fd), [](C& c) { c.hello(), give_away(c, c.init()); }},
    {"ManyLingeringWithInit", refused(Errc::unexpected_fd), [](C& c) { c.hello(), give_away(c, c.init(), many); }},
    {"LingeringInAShortMessage", refused(Errc::malformed_message),
     [](C& c) {
       c.hello();
       give_away(c, 1, [&](const std::vector<int>& fds) { c.send_bytes(std::vector<std::byte>(9), fds); });
     }},
    {"LingeringInAnEmptyMessage", refused(Errc::malformed_message),
     [](C& c) {
       c.hello();
       give_away(c, 1, [&](const std::vector<int>& fds) { c.send_bytes(std::vector<std::byte>(0), fds); });
     }},
    {"LingeringBehindAWrongSecret", refused(Errc::wrong_secret),
     [](C& c) {
       c.hello();
       Init init = c.init();
       init.secret[0] ^= 1;
       give_away_behind(c, init, AddRegion{0, 4096});
     }},
    {"LingeringBehindAnEmptyMessage", refused(Errc::malformed_message),
     [](C& c) {
       c.hello();
       give_away(c, 1, [&](const std::vector<int>& fds) {
         c.send_bytes(0), c.send_bytes(0), c.send(AddRegion{0, 4096}, fds);
       });
     }},
    {"LingeringBeforeItIsAccepted", refused(Errc::unexpected_message),
     [](C& c) {
       c.open(), give_away(c, AddRegion{0, 4096}), c.close_socket();
     }},
    {"LingeringRegion", refused(Errc::bad_region),
     [](C& c) {
       c.admit(), give_away(c, AddRegion{0, 4096});
     }},
    {"ManyLingeringRegions", refused(Errc::unexpected_fd),
     [](C& c) {
       c.admit(), give_away(c, AddRegion{0, 4096}, many);
     }},
    {"LingeringInterrupt", refused(Errc::not_an_eventfd), [](C& c) { c.region(), give_away(c, c.ring(true)); }},
    {"LingeringWithConnect", refused(Errc::unexpected_fd), [](C& c) { c.rings(), give_away(c, Connect{"x"}); }},
    {"LingeringOnALink", lost(Errc::unexpected_message),
     [](C& c) {
       c.connect(), give_away(c, AddRegion{1, 4096});
     }},
    {"LingeringBehindADisconnect", lost(Errc::peer_disconnected),
     [](C& c) {
       c.connect(), give_away_behind(c, Disconnect{1, "bye"}, AddRegion{1, 4096});
     }},
};

using S = RawServer;

const AttackOnClient on_client[] = {
    {"LingeringGreeting", refused(Errc::unexpected_fd), [](S& s) { s.accept(), give_away(s, s.greeting()); }},
    {"ManyLingeringGreetings", refused(Errc::unexpected_fd),
     [](S& s) { s.accept(), give_away(s, s.greeting(), many); }},
    {"LingeringBehindARefusal", refused(Errc::peer_refused),
     [](S& s) {
       s.accept(), give_away_behind(s, Disconnect{1, "no"}, Ack{});
     }},
    {"LingeringAck", refused(Errc::unexpected_fd), [](S& s) { s.hello(), give_away(s, Ack{}); }},
    {"LingeringBehindAShortAck", refused(Errc::malformed_message),
     [](S& s) {
       s.hello();
       give_away(s, 1, [&](const std::vector<int>& fds) { s.send_bytes(2), s.send(Ack{}, fds); });
     }},
    {"LingeringConnected", refused(Errc::unexpected_fd), [](S& s) { s.layout(), give_away(s, Connected{"x"}); }},
    {"LingeringOnALink", lost(Errc::unexpected_message), [](S& s) { s.connect(), give_away(s, Ack{}); }},
    {"LingeringBehindADisconnect", lost(Errc::peer_disconnected),
     [](S& s) {
       s.connect(), give_away_behind(s, Disconnect{1, "bye"}, Ack{});
     }},
};

}  // namespace

std::span<const AttackOnServer> closing_attacks_on_server() { return on_server; }
std::span<const AttackOnClient> closing_attacks_on_client() { return on_client; }

}  // namespace memif::hostile
