#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <limits>
#include <map>
#include <memory>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <tuple>
#include <unistd.h>
#include <utility>

#include <memif/detail/wire.hpp>
#include <memif/observe.hpp>

#include "observe/process_memory.hpp"
#include "observe/published.hpp"

namespace memif {
namespace {

using namespace published;

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

Error damaged(const std::string& why) { return {Errc::bad_region, "what the program publishes cannot be: " + why}; }

// --- Limits ---

// What it may cost to look at one program, or at all programs of one user: who publishes a lot holds nobody up.
struct Allowance {
  std::size_t files;     // with the name of a publication
  std::size_t bytes;     // of publications
  nanoseconds cpu;       // of this thread's
  nanoseconds patience;  // with changes that have begun and do not end
};
constexpr Allowance per_program{1024, std::size_t{1} << 20, 200ms, 50ms};
constexpr Allowance per_user{4096, std::size_t{2} << 20, 1s, 200ms};
constexpr Allowance of_all{16384, std::size_t{16} << 20, 3s, 400ms};  // somebody may have many users

Allowance smaller(const Allowance& a, const Allowance& b) {
  return {std::min(a.files, b.files), std::min(a.bytes, b.bytes), std::min(a.cpu, b.cpu),
          std::min(a.patience, b.patience)};
}

nanoseconds thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

// An allowance being spent.
class Purse {
 public:
  explicit Purse(const Allowance& allowance) : left_(allowance) {}

  bool take_file() { return time_left() && left_.files != 0 && left_.files-- != 0; }
  bool take_bytes(std::size_t bytes) {
    if (bytes > left_.bytes) return false;
    left_.bytes -= bytes;
    return true;
  }
  bool time_left() const { return thread_time() - began_ < left_.cpu; }
  nanoseconds& patience() { return left_.patience; }

  // Of an allowance that was at least as large: what is left after this.
  Allowance rest_of(const Allowance& whole, const Allowance& given) const {
    return {whole.files - (given.files - left_.files), whole.bytes - (given.bytes - left_.bytes),
            std::max(0ns, whole.cpu - (thread_time() - began_)),
            std::max(0ns, whole.patience - (given.patience - left_.patience))};
  }

 private:
  Allowance left_;
  nanoseconds began_ = thread_time();
};

// --- Copying: each word of the publication is read once, into memory of our own ---

constexpr std::size_t longest_page = 65536;  // files are as long as whole pages

// A read-only view of a publication that cannot be cut short.
class Mapping {
 public:
  static Result<Mapping> open(const detail::ForeignFile& file) {
    struct stat status {};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(file.get(), &status) != 0)
      return damaged("its memory file could shrink");
    constexpr Layout smallest(1, 1), largest(wire::max_rings, wire::max_rings);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size < smallest.size) return damaged("it is too short");
    if (size > largest.size + longest_page) return damaged("it is too long");
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
std::optional<Control> read_control(const Mapping& mapping, const Layout& layout, std::size_t queues,
                                    nanoseconds& patience) {
  // A change takes microseconds, and more if its thread loses the processor meanwhile: then it is given time and turns
  // to come back.
  constexpr int turns = 4;  // also without patience
  const auto began = std::chrono::steady_clock::now();
  nanoseconds waited = 0ns;
  std::optional<Control> control;
  for (int turn = 0; !control && (turn < turns || waited < patience); ++turn) {
    if (turn != 0) ::sched_yield();
    const std::uint64_t before = mapping.word(sizeof(Identity));
    if (before % 2 == 0) {
      control = Control{mapping.copy<State>(sizeof(Identity)), {}};
      for (std::size_t queue = 0; queue < queues; ++queue)
        control->rings.push_back(mapping.copy<RingState>(layout.rings + queue * sizeof(RingState)));
      if (mapping.word(sizeof(Identity)) != before) control.reset();
    }
    waited = std::chrono::steady_clock::now() - began;
  }
  patience -= std::min(patience, waited);
  return control;
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

// The rings of a program, by reading the file of their region and not by mapping it: the peer can take its memory away
// at any time.
class Rings {
 public:
  explicit Rings(pid_t pid) : pid_(pid) {}

  // `to_server`: client to server.
  std::optional<ObservedRing> look(const RingState& ring, bool to_server) {
    if (ring.ring_size == 0 || ring.ring_size > 1u << wire::max_log2_ring_size || !std::has_single_bit(ring.ring_size))
      return {};
    return ObservedRing{.ring_size = ring.ring_size,
                        .buffer_size = ring.buffer_size,
                        .region = ring.region,
                        .offset = ring.offset,
                        .live = read(ring, to_server)};
  }

 private:
  std::optional<ObservedRing::Live> read(const RingState& ring, bool to_server) {
    if (region_fd_ != ring.region_fd) {  // that of the ring before, as a rule
      region_fd_ = ring.region_fd;
      Result<detail::ForeignFile> file =
          detail::ForeignFile::open(pid_, ring.region_fd, detail::ForeignFile::Kind::region);
      file_.reset();
      if (file) file_.emplace(std::move(*file));
    }
    wire::RingHeader header;
    if (!file_ || ring.offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max() - sizeof header))
      return {};
    if (::pread(file_->get(), &header, sizeof header, static_cast<off_t>(ring.offset)) != sizeof header) return {};
    const std::uint32_t ahead = static_cast<std::uint16_t>(header.head - header.tail);
    if (header.cookie != wire::ring_cookie || ahead > ring.ring_size) return {};
    return ObservedRing::Live{.head = header.head,
                              .tail = header.tail,
                              .flags = header.flags,
                              .used = to_server ? ahead : ring.ring_size - ahead};
  }

  pid_t pid_;
  std::int32_t region_fd_ = -1;
  std::optional<detail::ForeignFile> file_;
};

// --- Interfaces ---

Error beyond_limits(pid_t pid) {
  return {Errc::bad_region, "process " + std::to_string(pid) + ", or its user, publishes more than is looked at"};
}

// Nothing: the interface is gone, or not there yet.
Result<std::optional<ObservedInterface>> read_interface(const Credentials& program, const Mapping& mapping,
                                                        Purse& purse) {
  const auto identity = mapping.copy<Identity>(0);
  if (identity.magic != published::magic) return std::optional<ObservedInterface>();
  if (identity.version != published::version)
    return damaged("its layout is version " + std::to_string(identity.version) + ", and only " +
                   std::to_string(published::version) + " is known here");
  const std::size_t rx_queues = identity.rx_queues, tx_queues = identity.tx_queues;
  const Layout layout(rx_queues, tx_queues);
  if (identity.role > static_cast<int>(Role::server) || identity.mode > static_cast<int>(Mode::punt_inject) ||
      rx_queues > wire::max_rings || tx_queues > wire::max_rings || layout.size > mapping.size())
    return damaged("a role, a mode or a number of queues is out of range");
  if (!purse.take_bytes(layout.size)) return beyond_limits(program.pid);
  const std::optional<Control> control = read_control(mapping, layout, rx_queues + tx_queues, purse.patience());
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
  Rings rings(program.pid);
  for (std::size_t i = 0; i < rx_queues; ++i)
    seen.rx.push_back(
        {totals_at<RxTotals>(mapping, layout.rx + i * sizeof(RxSlot)), rings.look(control->rings[i], !client)});
  for (std::size_t i = 0; i < tx_queues; ++i)
    seen.tx.push_back({totals_at<TxTotals>(mapping, layout.tx + i * sizeof(TxSlot)),
                       rings.look(control->rings[rx_queues + i], client)});
  return std::optional(std::move(seen));
}

// Appends what a program publishes. Errors: ESRCH, EACCES.
Status look_at(const Credentials& program, Purse& purse, Observation& result) {
  const pid_t pid = program.pid;
  const auto skip = [&result](const Error& why) {
    ++result.skipped;
    if (!result.why) result.why = why;
  };
  const auto first = static_cast<std::ptrdiff_t>(result.interfaces.size());
  bool within = true;
  const auto look = [&](int fd) {
    within = within && purse.take_file();
    if (!within) return false;
    const Result<detail::ForeignFile> file = detail::ForeignFile::open(pid, fd, detail::ForeignFile::Kind::publication);
    if (!file) return true;  // closed meanwhile
    if (!file->locked_by_its_process()) {
      skip({Errc::bad_region, "process " + std::to_string(pid) + " has a memory file that is named as a publication " +
                                  "and that it did not publish itself"});
      return true;
    }
    const Result<Mapping> mapping = Mapping::open(*file);
    auto seen = mapping ? read_interface(program, *mapping, purse) : mapping.error();
    if (!seen)
      skip(seen.error());
    else if (*seen)
      result.interfaces.push_back(std::move(**seen));
    return true;
  };
  Status listed =
      detail::each_memory_file(pid, published::file_name, look, [&] { return within = within && purse.time_left(); });
  if (!within) skip(beyond_limits(pid));
  std::sort(result.interfaces.begin() + first, result.interfaces.end(),
            [](const ObservedInterface& a, const ObservedInterface& b) {
              return std::tie(a.socket, a.id, a.role) < std::tie(b.socket, b.id, b.role);
            });
  return listed;
}

}  // namespace

Result<Observation> observe(pid_t pid) {
  const Result<Credentials> program = detail::credentials_of(pid);
  if (!program) return program.error();
  Purse purse(per_program);
  Observation result;
  if (Status looked = look_at(*program, purse, result); !looked) return looked.error();
  return result;
}

Observation observe_all() {
  std::vector<Credentials> programs;
  {
    const std::unique_ptr<DIR, decltype([](DIR* directory) { ::closedir(directory); })> all(::opendir("/proc"));
    while (const dirent* const entry = all != nullptr ? ::readdir(all.get()) : nullptr) {
      const auto pid = static_cast<pid_t>(std::atol(entry->d_name));
      if (const auto program = pid > 0 ? detail::credentials_of(pid) : Result<Credentials>(Error{}))
        programs.push_back(*program);
    }
  }
  // First those that nobody else has made.
  const auto trusted = [self = ::getuid()](const Credentials& one) { return one.uid == 0 || one.uid == self; };
  std::sort(programs.begin(), programs.end(), [&](const Credentials& a, const Credentials& b) {
    return std::tuple(!trusted(a), a.pid) < std::tuple(!trusted(b), b.pid);
  });

  Observation result;
  Allowance left_of_all = of_all;
  std::map<uid_t, Allowance> users;
  for (const Credentials& program : programs) {
    Allowance& left = users.try_emplace(program.uid, per_user).first->second;
    const Allowance given = smaller(smaller(left, left_of_all), per_program);
    Purse purse(given);
    static_cast<void>(look_at(program, purse, result));  // of another user's, nothing is seen
    left = purse.rest_of(left, given);
    left_of_all = purse.rest_of(left_of_all, given);
  }
  std::stable_sort(
      result.interfaces.begin(), result.interfaces.end(),
      [](const ObservedInterface& a, const ObservedInterface& b) { return a.program.pid < b.program.pid; });
  return result;
}

bool publishing_wanted() noexcept {
  const char* const wanted = ::secure_getenv("MEMIF_PUBLISH");
  return wanted != nullptr && *wanted != '\0' && std::strcmp(wanted, "0") != 0;
}

}  // namespace memif
