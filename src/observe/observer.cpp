#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <tuple>
#include <unistd.h>
#include <utility>

#include <memif/detail/wire.hpp>
#include <memif/observe.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"
#include "observe/published_file.hpp"
#include "observe/purse.hpp"

namespace memif {
namespace {

using namespace published;

using detail::Allowance;
using detail::damaged;
using detail::out_of_range;
using detail::per_program;
using detail::ProcessFile;
using detail::PublishedCopy;
using detail::Purse;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

// --- Limits: docs/observing.md ---

constexpr Allowance per_user{4096, std::size_t{2} << 20, 1s, 2s, 200ms};
constexpr Allowance first_share{128, std::size_t{1} << 17, 50ms, 100ms, 10ms};  // of each user's, before anybody's rest
constexpr Allowance of_all{16384, std::size_t{16} << 20, 3s, 6s, 400ms};        // somebody may have many users

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

// --- A ring's indices, in the ring ---

// The rings of a program, by reading the file of their region and not by mapping it: the peer can take its memory away
// at any time.
class Rings {
 public:
  Rings(pid_t pid, const Purse& purse) : pid_(pid), purse_(purse) {}

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
    if (!purse_.time_left()) return {};
    if (region_fd_ != ring.region_fd) {  // that of the ring before, as a rule
      region_fd_ = ring.region_fd;
      Result<ProcessFile> file = ProcessFile::open(pid_, ring.region_fd, ProcessFile::Kind::region);
      file_.reset();
      if (file) file_.emplace(std::move(*file));
    }
    wire::RingHeader header;
    if (!file_ || ring.offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max() - sizeof header))
      return {};
    if (!detail::read_at(*file_, &header, sizeof header, ring.offset)) return {};
    const std::uint32_t ahead = static_cast<std::uint16_t>(header.head - header.tail);
    if (header.cookie != wire::ring_cookie || ahead > ring.ring_size) return {};
    return ObservedRing::Live{.head = header.head,
                              .tail = header.tail,
                              .flags = header.flags,
                              .used = to_server ? ahead : ring.ring_size - ahead};
  }

  pid_t pid_;
  const Purse& purse_;
  std::int32_t region_fd_ = -1;
  std::optional<ProcessFile> file_;
};

// --- Interfaces ---

Error beyond_limits(pid_t pid) {
  return {Errc::bad_region, "process " + std::to_string(pid) + ", or its user, publishes more than is looked at"};
}

ObservedInterface describe(const Credentials& program, const Identity& identity, const State& state) {
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
  return seen;
}

// Nothing: the interface is gone, or not there yet.
Result<std::optional<ObservedInterface>> read_interface(const Credentials& program, const ProcessFile& file,
                                                        Purse& purse) {
  const Result<std::size_t> size = detail::published_size(file);
  if (!size) return size.error();
  Identity identity;
  const Result<bool> there = detail::read_identity(file, identity);
  if (!there) return there.error();
  if (!*there) return std::optional<ObservedInterface>();
  const std::size_t rx_queues = identity.rx_queues, tx_queues = identity.tx_queues;
  const Layout layout(rx_queues, tx_queues);
  if (layout.size > *size) return out_of_range();
  if (!purse.take_bytes(layout.size)) return beyond_limits(program.pid);
  PublishedCopy copy(layout.size);
  if (!detail::read_between_changes(file, copy, purse.patience()))
    return damaged("a change of it has begun and does not end");
  const auto state = copy.at<State>(sizeof(Identity));
  if (state.removed != 0) return std::optional<ObservedInterface>();

  ObservedInterface seen = describe(program, identity, state);
  seen.file = file.number();
  const bool client = seen.role == Role::client;
  Rings rings(program.pid, purse);
  const auto ring_of = [&](std::size_t queue, bool to_server) {
    return rings.look(copy.at<RingState>(layout.rings + queue * sizeof(RingState)), to_server);
  };
  for (std::size_t i = 0; i < rx_queues; ++i)
    seen.rx.push_back({copy.at<RxTotals>(layout.rx + i * sizeof(RxSlot)), ring_of(i, !client)});
  for (std::size_t i = 0; i < tx_queues; ++i)
    seen.tx.push_back({copy.at<TxTotals>(layout.tx + i * sizeof(TxSlot)), ring_of(rx_queues + i, client)});
  return std::optional(std::move(seen));
}

// What was seen of a program.
struct Look {
  Credentials program;
  Observation seen{};
  Status listed = Nothing{};  // Errors: ESRCH, EACCES
  bool whole = false;         // nothing was left for want of an allowance
};

Look look_at(const Credentials& program, Purse& purse) {
  const pid_t pid = program.pid;
  Look result{.program = program};
  Observation& seen = result.seen;
  const auto skip = [&seen](const Error& why) {
    ++seen.skipped;
    if (!seen.why) seen.why = why;
  };
  bool within = true;
  const auto look = [&](int fd) {
    within = within && purse.take_file();
    if (!within) return false;
    const Result<ProcessFile> file = ProcessFile::open(pid, fd, ProcessFile::Kind::publication);
    if (!file) return true;  // closed meanwhile
    if (!file->locked_by_its_process() || !detail::may_be_of(program, file->owner())) {
      skip({Errc::bad_region, "process " + std::to_string(pid) + " has a memory file that is named as a publication " +
                                  "and that it did not publish itself"});
      return true;
    }
    auto one = read_interface(program, *file, purse);
    if (!one)
      skip(one.error());
    else if (*one)
      seen.interfaces.push_back(std::move(**one));
    return true;
  };
  result.listed =
      detail::each_memory_file(pid, published::file_name, look, [&] { return within = within && purse.time_left(); });
  if (!within) skip(beyond_limits(pid));
  result.whole = within;
  std::sort(seen.interfaces.begin(), seen.interfaces.end(), [](const ObservedInterface& a, const ObservedInterface& b) {
    return std::tie(a.socket, a.id, a.role) < std::tie(b.socket, b.id, b.role);
  });
  return result;
}

// --- All programs ---

std::vector<Look> all_programs() {
  std::vector<Look> programs;
  const std::unique_ptr<DIR, decltype([](DIR* directory) { ::closedir(directory); })> all(::opendir("/proc"));
  while (const dirent* const entry = all != nullptr ? ::readdir(all.get()) : nullptr) {
    const auto pid = static_cast<pid_t>(std::atol(entry->d_name));
    if (const auto program = pid > 0 ? detail::credentials_of(pid) : Result<Credentials>(Error{}))
      programs.push_back({.program = *program});
  }
  return programs;
}

// Looks at those that were not seen whole yet; each user may spend `share`.
void look_again(std::vector<Look>& programs, const Allowance& share, Allowance& left_of_all) {
  std::map<uid_t, Allowance> users;
  for (Look& known : programs) {
    if (known.whole) continue;
    Allowance& left = users.try_emplace(known.program.uid, share).first->second;
    Purse purse(smaller(smaller(left, left_of_all), per_program));
    Look look = look_at(known.program, purse);  // of another user's, nothing is seen
    if (look.whole || look.seen.interfaces.size() >= known.seen.interfaces.size()) known = std::move(look);
    left = purse.rest_of(left);
    left_of_all = purse.rest_of(left_of_all);
  }
}

}  // namespace

Result<Observation> observe(pid_t pid) {
  const Result<Credentials> program = detail::credentials_of(pid);
  if (!program) return program.error();
  Purse purse(per_program);
  Look look = look_at(*program, purse);
  if (!look.listed) return look.listed.error();
  return std::move(look.seen);
}

// First those that nobody else has made. Of what is left, somebody with many users could spend all on his own: so some
// of everybody's comes before the rest of anybody's.
Observation observe_all() {
  std::vector<Look> programs = all_programs();
  const auto others = std::stable_partition(programs.begin(), programs.end(), [self = ::getuid()](const Look& one) {
    return one.program.uid == 0 || one.program.uid == self;
  });
  std::vector<Look> of_others(std::make_move_iterator(others), std::make_move_iterator(programs.end()));
  programs.erase(others, programs.end());
  Allowance left_of_all = of_all;
  look_again(programs, per_user, left_of_all);
  look_again(of_others, first_share, left_of_all);
  look_again(of_others, per_user, left_of_all);
  programs.insert(programs.end(), std::make_move_iterator(of_others.begin()), std::make_move_iterator(of_others.end()));

  std::sort(programs.begin(), programs.end(),
            [](const Look& a, const Look& b) { return a.program.pid < b.program.pid; });
  Observation result;
  for (Look& look : programs) {
    std::move(look.seen.interfaces.begin(), look.seen.interfaces.end(), std::back_inserter(result.interfaces));
    result.skipped += look.seen.skipped;
    if (!result.why) result.why = std::move(look.seen.why);
  }
  return result;
}

bool publishing_wanted() noexcept {
  const char* const wanted = ::secure_getenv("MEMIF_PUBLISH");
  return wanted != nullptr && *wanted != '\0' && std::strcmp(wanted, "0") != 0;
}

}  // namespace memif
