// Observing programs from outside: the interfaces of those that publish (ContextConfig::publish), as far as this user
// may see them. docs/observing.md
//
// Nothing here slows or disturbs the observed program: it runs on while its memory is read, and need not even run. The
// data read is not trusted: only publications of the program itself count, a damaged one is left out and counted, the
// amount that is read is limited, and texts have no control characters.
//
// All of this is for any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <memif/config.hpp>
#include <memif/error.hpp>
#include <memif/stats.hpp>

namespace memif {

// The ring of a queue, of the present link.
struct ObservedRing {
  std::uint32_t ring_size = 0;    // descriptors
  std::uint32_t buffer_size = 0;  // bytes; 0 where the peer chose the buffers
  std::uint16_t region = 0;
  std::uint64_t offset = 0;  // of the ring in its region

  // The words in shared memory when this was read; nothing if this user cannot read that memory.
  struct Live {
    std::uint16_t head = 0, tail = 0, flags = 0;
    std::uint32_t used = 0;  // descriptors that the sender could not fill: with packets on their way, or held
  };
  std::optional<Live> live;
};

struct ObservedRx {
  RxTotals totals;
  std::optional<ObservedRing> ring;  // nothing: the queue is down
};
struct ObservedTx {
  TxTotals totals;
  std::optional<ObservedRing> ring;
};

struct ObservedRegion {
  std::uint64_t size = 0;  // bytes
  bool external = false;
  bool sealed = false;  // the peer cannot shrink it
};

struct ObservedInterface {
  Credentials program;  // the pid as this process sees it
  int file = -1;        // the program's descriptor of what it publishes of this
  std::string app_name, name, socket;
  std::uint32_t id = 0;
  Role role = Role::client;
  Mode mode = Mode::ethernet;
  std::chrono::system_clock::time_point started;  // when the interface was added

  bool connected = false;
  std::chrono::system_clock::time_point changed;  // when it went up or down, or was added
  std::optional<PeerInfo> peer;                   // of the present link
  std::uint64_t connects = 0, disconnects = 0, refusals = 0;
  std::optional<Reason> last_reason;
  std::vector<ObservedRegion> regions;  // of the present link, the first 16
  std::vector<ObservedRx> rx;           // by queue
  std::vector<ObservedTx> tx;
};

struct Observation {
  std::vector<ObservedInterface> interfaces{};  // by program; of one, ordered by socket and id

  // Memory files with the name of a publication that are not among them: damaged, of another version, or not published
  // by the program that has them; and programs at which the limits ended the look. docs/observing.md, "Limits".
  std::uint64_t skipped = 0;
  std::optional<Error> why{};  // of the first
};

// The interfaces that program `pid` publishes; none if it does not publish. Errors: there is no such program (ESRCH),
// or it is another user's (EACCES).
Result<Observation> observe(pid_t pid);

// The interfaces that all programs of this machine publish and this user can observe, by ascending pid. Looks at the
// descriptors of every process: a few milliseconds where there are many.
Observation observe_all();

// Whether the environment asks for publishing: MEMIF_PUBLISH is set, and neither empty nor 0. For programs that leave
// the decision to their user, as the memif command and programs that use the C API do.
bool publishing_wanted() noexcept;

}  // namespace memif
