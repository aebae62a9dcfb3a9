// Descriptors that are not what they should be, and files that change.
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "attacks.hpp"

namespace memif::hostile {
namespace {

using namespace message;
using C = RawClient;

void as_region(C& c, int fd, std::uint64_t size = 1 << 20) {
  c.admit();
  c.send(AddRegion{0, size}, {fd});
}

void as_event(C& c, int fd) {
  c.region();
  c.send(c.ring(true), {fd});
}

int read_only_memfd(C& c) {
  const std::string path = "/proc/self/fd/" + std::to_string(make_memfd(c, 1 << 20));
  return open_path(c, path.c_str(), O_RDONLY);
}

int sealed_memfd(C& c, int seals) {
  const int fd = make_memfd(c, 1 << 20);
  if (::fcntl(fd, F_ADD_SEALS, seals) != 0) give_up("seal");
  return fd;
}

// -1: the usual one.
void connect_with_events(C& c, int to_server, int to_client) {
  c.region();
  for (const bool s2m : {true, false}) {
    c.send(c.ring(s2m), {s2m ? to_server : to_client >= 0 ? to_client : c.event()});
    c.expect<Ack>();
  }
  c.send(Connect{"x"});
  c.expect<Connected>();
}

const AttackOnServer attacks[] = {
    {"RegionIsAPipe", refused(Errc::bad_region), [](C& c) { as_region(c, make_pipe(c)); }},
    {"RegionIsASocket", refused(Errc::bad_region), [](C& c) { as_region(c, make_socket(c)); }},
    {"RegionIsADirectory", refused(Errc::bad_region), [](C& c) { as_region(c, open_path(c, "/", O_RDONLY)); }},
    {"RegionIsDevZero", refused(Errc::bad_region), [](C& c) { as_region(c, open_path(c, "/dev/zero", O_RDWR)); }},
    {"RegionIsDevNull", refused(Errc::bad_region), [](C& c) { as_region(c, open_path(c, "/dev/null", O_RDWR)); }},
    {"RegionIsAFileOnDisk", refused(Errc::bad_region), [](C& c) { as_region(c, make_file(c)); }},
    {"RegionIsAnEventfd", refused(Errc::bad_region), [](C& c) { as_region(c, c.keep(::eventfd(0, EFD_CLOEXEC))); }},
    {"RegionIsAPathOnly", refused(Errc::bad_region), [](C& c) { as_region(c, open_path(c, "/tmp", O_PATH)); }},
    {"RegionIsAnEmptyFile", refused(Errc::bad_region), [](C& c) { as_region(c, make_memfd(c, 0)); }},
    {"RegionIsReadOnly", refused(Errc::bad_region), [](C& c) { as_region(c, read_only_memfd(c)); }},
    {"RegionIsSealedAgainstWriting", refused(Errc::bad_region),
     [](C& c) { as_region(c, sealed_memfd(c, F_SEAL_WRITE)); }},
    {"RegionIsSealedAgainstFutureWriting", refused(Errc::bad_region),
     [](C& c) { as_region(c, sealed_memfd(c, 0x0010)); }},
    {"RegionIsTheControlChannel", refused(Errc::bad_region),
     [](C& c) {
       c.admit();
       c.send(AddRegion{0, 1 << 20}, {c.socket()});
     }},
    {"UnsealedRegionWhereSealedIsDemanded", refused(Errc::unsealed_memory),
     [](C& c) { as_region(c, make_memfd(c, 1 << 20)); }, Setup::sealed_only},
    {"RegionThatGrows", harmless,
     [](C& c) {
       c.connect();
       if (::ftruncate(c.memory, 1 << 24) != 0) give_up("ftruncate");
       c.stream(200);
     }},
    {"RegionWithHolesPunched", harmless,
     [](C& c) {
       c.connect();
       c.stream(100);
       const off_t buffers = 16384;
       if (::fallocate(c.memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, buffers, (1 << 20) - buffers) != 0)
         give_up("fallocate");
       c.stream(100);
     }},

    {"InterruptIsAPipe", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, make_pipe(c)); }},
    {"InterruptIsASocket", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, make_socket(c)); }},
    {"InterruptIsADirectory", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, open_path(c, "/", O_RDONLY)); }},
    {"InterruptIsDevZero", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, open_path(c, "/dev/zero", O_RDWR)); }},
    {"InterruptIsAMemoryFile", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, make_memfd(c, 4096)); }},
    {"InterruptIsAFileNamedLikeOne", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, make_file(c)); }},
    {"InterruptIsATimer", refused(Errc::not_an_eventfd),
     [](C& c) { as_event(c, c.keep(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC))); }},
    {"InterruptIsAnEpoll", refused(Errc::not_an_eventfd),
     [](C& c) { as_event(c, c.keep(::epoll_create1(EPOLL_CLOEXEC))); }},
    {"InterruptIsAPathOnly", refused(Errc::not_an_eventfd), [](C& c) { as_event(c, open_path(c, "/tmp", O_PATH)); }},
    {"InterruptsThatWouldBlock", harmless,
     [](C& c) {
       const int full = c.keep(::eventfd(0, EFD_CLOEXEC)), full_too = c.keep(::eventfd(0, EFD_CLOEXEC));
       fill_event(full), fill_event(full_too);
       connect_with_events(c, full, full_too);
       c.stream(100);
       c.post_all();
       until("the victim sends and is not blocked", [&] { return c.m2s.tail() != 0; });
     }},
    {"InterruptsFilledAfterConnecting", harmless,
     [](C& c) {
       const int one = c.keep(::eventfd(0, EFD_CLOEXEC)), other = c.keep(::eventfd(0, EFD_CLOEXEC));
       connect_with_events(c, one, other);
       fill_event(one), fill_event(other);
       c.post_all();
       c.stream(100);
     }},
    {"InterruptThatNeverEnds", lost(Errc::broken_ring),
     [](C& c) {
       const int endless = c.keep(::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK));
       const std::uint64_t most = ~std::uint64_t{0} - 1;
       if (::write(endless, &most, sizeof most) < 0) give_up("write");
       connect_with_events(c, endless, -1);
     }},
    {"BothInterruptsAreOne", harmless,
     [](C& c) {
       const int event = c.keep(::eventfd(0, EFD_CLOEXEC));
       connect_with_events(c, event, event);
       c.post_all();
       c.stream(100);
     }},
};

}  // namespace

std::span<const AttackOnServer> file_attacks_on_server() { return attacks; }

}  // namespace memif::hostile
