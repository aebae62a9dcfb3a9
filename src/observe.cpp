#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

#include <memif/observe.hpp>
#include <memif/wire.hpp>

#include "foreign_memory.hpp"
#include "published.hpp"

namespace memif {
namespace {

using namespace published;

Error damaged(const std::string& why) { return {Errc::bad_region, "what the program publishes cannot be: " + why}; }

// --- Copying: each word of the publication is read once, into memory of our own ---

// A read-only view of a publication that cannot be cut short.
class Mapping {
 public:
  static Result<Mapping> open(const Fd& file) {
    struct stat status {};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(file.get(), &status) != 0)
      return damaged("its memory file could shrink");
    constexpr Layout smallest(1, 1), largest(wire::max_rings, wire::max_rings);
    if (static_cast<std::size_t>(status.st_size) < smallest.size) return damaged("it is too short");
    const std::size_t size = std::min(static_cast<std::size_t>(status.st_size), largest.size);
    void* const data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
    if (data == MAP_FAILED) return system_error(errno, "cannot map what a program publishes");
    return Mapping(static_cast<std::byte*>(data), size);
  }
  Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::size_t size() const noexcept { return size_; }

  // Pairs with the publisher's releases: docs/observing.md, "Layout".
  std::uint64_t word(std::size_t at) const noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(data_ + at)).load(std::memory_order_acquire);
  }
  template <class T>
  T copy(std::size_t at) const noexcept {
    static_assert(sizeof(T) % 8 == 0 && std::is_trivially_copyable_v<T>);
    T value;
    for (std::size_t done = 0; done != sizeof value; done += 8) {
      const std::uint64_t part = word(at + done);
      std::memcpy(reinterpret_cast<std::byte*>(&value) + done, &part, 8);
    }
    return value;
  }

 private:
  Mapping(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {}

  std::byte* data_;
  std::size_t size_;
};

// What the control thread wrote, from between two of its changes. One that dies in the middle leaves none.
struct Control {
  State state;
  std::vector<RingState> rings;
};
std::optional<Control> read_control(const Mapping& mapping, const Layout& layout, std::size_t queues) {
  // A change takes microseconds, and more if its thread loses the processor meanwhile: then it is given time and turns
  // to come back. Turns alone are milliseconds, or a minute, depending on who else runs here.
  constexpr int turns = 100;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  for (int turn = 0; turn < turns || std::chrono::steady_clock::now() < deadline; ++turn) {
    const std::uint64_t before = mapping.word(sizeof(Identity));
    if (before % 2 == 0) {
      Control control{mapping.copy<State>(sizeof(Identity)), {}};
      for (std::size_t queue = 0; queue < queues; ++queue)
        control.rings.push_back(mapping.copy<RingState>(layout.rings + queue * sizeof(RingState)));
      if (mapping.word(sizeof(Identity)) == before) return control;
    }
    ::sched_yield();
  }
  return std::nullopt;
}

// --- Words of the copy as values ---

std::string text(const char* bytes, std::size_t size) {
  std::string result(bytes, ::strnlen(bytes, size));
  for (char& c : result)
    if (c < ' ' || c > '~') c = '?';
  return result;
}

std::chrono::system_clock::time_point time_of(std::uint64_t ns) {
  const std::chrono::nanoseconds since_epoch(std::min<std::uint64_t>(ns, std::numeric_limits<std::int64_t>::max()));
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(since_epoch));
}

Reason reason_of(const State& state) {
  const std::error_category& category =
      state.reason_kind == ReasonKind::memif ? memif_category() : std::system_category();
  return {.code = {state.reason_code, category},
          .from_peer = state.reason_from_peer != 0,
          .text = text(state.reason, sizeof state.reason)};
}

PeerInfo peer_of(const State& state) {
  return {.app_name = text(state.peer_app_name.bytes, sizeof state.peer_app_name),
          .interface_name = text(state.peer_interface_name.bytes, sizeof state.peer_interface_name),
          .version = static_cast<std::uint16_t>(state.peer_version),
          .credentials = {.pid = state.peer_pid, .uid = state.peer_uid, .gid = state.peer_gid}};
}

// The counters, in the order in which they lie there.
static_assert(sizeof(RxTotals) == sizeof(RxCounters) && sizeof(TxTotals) == sizeof(TxCounters));
template <class Totals>
Totals totals_at(const Mapping& mapping, std::size_t at) {
  return mapping.copy<Totals>(at);
}

// --- A ring's indices, in the ring ---

// By reading the file and not by mapping it: the peer can take its memory away at any time. `to_server`: client to
// server.
std::optional<ObservedRing::Live> read_ring(pid_t pid, const RingState& ring, bool to_server) {
  uid_t owner = 0;
  const Result<Fd> file = detail::open_memory_file(pid, ring.region_fd, owner);
  wire::RingHeader header;
  if (!file || ring.offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max() - sizeof header)) return {};
  if (::pread(file->get(), &header, sizeof header, static_cast<off_t>(ring.offset)) != sizeof header) return {};
  const std::uint32_t ahead = static_cast<std::uint16_t>(header.head - header.tail);
  if (header.cookie != wire::ring_cookie || ahead > ring.ring_size) return {};
  return ObservedRing::Live{.head = header.head,
                            .tail = header.tail,
                            .flags = header.flags,
                            .used = to_server ? ahead : ring.ring_size - ahead};
}

std::optional<ObservedRing> ring_of(pid_t pid, const RingState& ring, bool to_server) {
  if (ring.ring_size == 0 || ring.ring_size > 1u << wire::max_log2_ring_size || !std::has_single_bit(ring.ring_size))
    return {};
  return ObservedRing{.ring_size = ring.ring_size,
                      .buffer_size = ring.buffer_size,
                      .region = ring.region,
                      .offset = ring.offset,
                      .live = read_ring(pid, ring, to_server)};
}

// --- Interfaces ---

// Nothing: the interface is gone, or was never this process's own, which calls itself `own_pid`.
Result<std::optional<ObservedInterface>> read_interface(const Credentials& program, pid_t own_pid,
                                                        const Mapping& mapping) {
  const auto identity = mapping.copy<Identity>(0);
  if (identity.magic != published::magic) return std::optional<ObservedInterface>();
  if (identity.version != published::version)
    return damaged("its layout is version " + std::to_string(identity.version) + ", and only " +
                   std::to_string(published::version) + " is known here");
  if (identity.pid != own_pid) return std::optional<ObservedInterface>();
  const std::size_t rx_queues = identity.rx_queues, tx_queues = identity.tx_queues;
  const Layout layout(rx_queues, tx_queues);
  if (identity.role > static_cast<int>(Role::server) || identity.mode > static_cast<int>(Mode::punt_inject) ||
      rx_queues > wire::max_rings || tx_queues > wire::max_rings || layout.size > mapping.size())
    return damaged("a role, a mode or a number of queues is out of range");
  const std::optional<Control> control = read_control(mapping, layout, rx_queues + tx_queues);
  if (!control) return damaged("a change of it has begun and does not end");
  const State& state = control->state;
  if (state.removed != 0) return std::optional<ObservedInterface>();

  ObservedInterface seen;
  seen.program = program;
  seen.app_name = text(identity.app_name.bytes, sizeof identity.app_name);
  seen.name = text(identity.name.bytes, sizeof identity.name);
  seen.socket = text(identity.socket, sizeof identity.socket);
  seen.id = identity.id;
  seen.role = static_cast<Role>(identity.role);
  seen.mode = static_cast<Mode>(identity.mode);
  seen.started = time_of(identity.started_ns);
  seen.connected = state.connected != 0;
  seen.changed = time_of(state.changed_ns);
  if (seen.connected) seen.peer = peer_of(state);
  seen.connects = state.connects;
  seen.disconnects = state.disconnects;
  seen.refusals = state.refusals;
  if (state.reason_kind != ReasonKind::none) seen.last_reason = reason_of(state);
  for (std::size_t i = 0; i < std::min<std::size_t>(state.regions, most_regions); ++i) {
    const RegionState& region = state.region[i];
    seen.regions.push_back({region.size, region.external != 0, region.sealed != 0});
  }
  const bool client = seen.role == Role::client;
  for (std::size_t i = 0; i < rx_queues; ++i)
    seen.rx.push_back({totals_at<RxTotals>(mapping, layout.rx + i * sizeof(RxSlot)),
                       ring_of(program.pid, control->rings[i], !client)});
  for (std::size_t i = 0; i < tx_queues; ++i)
    seen.tx.push_back({totals_at<TxTotals>(mapping, layout.tx + i * sizeof(TxSlot)),
                       ring_of(program.pid, control->rings[rx_queues + i], client)});
  return std::optional(std::move(seen));
}

}  // namespace

Result<std::vector<ObservedInterface>> observe(pid_t pid) {
  const Result<Credentials> program = detail::credentials_of(pid);
  if (!program) return program.error();
  const pid_t own_pid = detail::innermost_pid(pid);
  std::vector<ObservedInterface> interfaces;
  std::optional<Error> failure;
  const auto look = [&](int fd) {
    uid_t owner = 0;
    const Result<Fd> file = detail::open_memory_file(pid, fd, owner);
    // Closed meanwhile; or from a peer, who can give its memory files any name.
    if (!file || (owner != program->uid && owner != 0)) return true;
    const Result<Mapping> mapping = Mapping::open(*file);
    auto seen = mapping ? read_interface(*program, own_pid, *mapping) : mapping.error();
    if (!seen) failure = seen.error();
    if (seen && *seen) interfaces.push_back(std::move(**seen));
    return seen.ok();
  };
  if (Status listed = detail::each_memory_file(pid, published::file_name, look); !listed) return listed.error();
  if (failure) return *failure;
  std::sort(interfaces.begin(), interfaces.end(), [](const ObservedInterface& a, const ObservedInterface& b) {
    return std::tie(a.socket, a.id, a.role) < std::tie(b.socket, b.id, b.role);
  });
  return interfaces;
}

std::vector<pid_t> find_publishers() {
  std::vector<pid_t> found;
  const std::unique_ptr<DIR, decltype([](DIR* directory) { ::closedir(directory); })> processes(::opendir("/proc"));
  while (const dirent* const entry = processes != nullptr ? ::readdir(processes.get()) : nullptr) {
    const auto pid = static_cast<pid_t>(std::atol(entry->d_name));
    if (pid <= 0) continue;
    static_cast<void>(detail::each_memory_file(pid, published::file_name, [&](int) {
      found.push_back(pid);
      return false;
    }));
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool publishing_wanted() noexcept {
  const char* const wanted = ::secure_getenv("MEMIF_PUBLISH");
  return wanted != nullptr && *wanted != '\0' && std::strcmp(wanted, "0") != 0;
}

}  // namespace memif
