#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include <memif/detail/wire.hpp>
#include <memif/fd.hpp>
#include <memif/tap.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"
#include "observe/published_file.hpp"
#include "observe/tap_ring.hpp"

namespace memif {
namespace {

using namespace published;
using namespace std::chrono_literals;

using detail::ProcessFile;
using detail::TapRing;
using std::chrono::nanoseconds;

// The files of a link's regions, opened for reading: they are read, never mapped. Whoever touches a mapping waits while
// somebody punches holes into the file, and dies where it has been cut.
class Regions {
 public:
  explicit Regions(pid_t pid) : pid_(pid) {}

  Status open(const State& state) {
    for (std::size_t i = 0; i != std::min<std::size_t>(state.regions, most_regions); ++i) {
      const RegionState& region = state.region[i];
      if (region.file == 0)
        return Error{Errc::bad_region, "the program does not tell where region " + std::to_string(i) +
                                           " lies: it was built with an older memifpp"};
      Result<ProcessFile> file = ProcessFile::open(pid_, region.file - 1, ProcessFile::Kind::region);
      if (!file)
        return Error{file.error().code,
                     "region " + std::to_string(i) + " of the link cannot be read: " + file.error().message};
      files_.push_back({std::move(*file), std::min(region.size, wire::region_reach)});
    }
    return Nothing{};
  }

  bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t size) const {
    if (region >= files_.size() || size > files_[region].size || offset > files_[region].size - size) return false;
    return detail::read_at(files_[region].file, to, size, offset);
  }
  std::uint64_t size(std::uint16_t region) const { return region < files_.size() ? files_[region].size : 0; }

 private:
  struct File {
    ProcessFile file;
    std::uint64_t size;
  };
  pid_t pid_;
  std::vector<File> files_;
};

// A queue of the present link.
struct Queue {
  bool sent;
  std::uint16_t number;
  std::uint64_t slot;  // of its counters, in the publication
  TapRing ring;
};

class Source final : public detail::TapSource {
 public:
  Source(const Regions& regions, const ProcessFile& publication, const Queue& queue)
      : regions_(regions), publication_(publication), queue_(queue) {}

  bool read(std::uint16_t region, std::uint64_t offset, void* to, std::size_t size) override {
    return regions_.read(region, offset, to, size);
  }
  std::uint64_t size(std::uint16_t region) override { return regions_.size(region); }
  std::optional<std::uint64_t> counted() override {
    if (queue_.sent) return packets<TxTotals>([](const TxTotals& totals) { return totals.packets; });
    return packets<RxTotals>([](const RxTotals& totals) {
      return totals.packets + totals.dropped_descriptor + totals.dropped_long + totals.dropped_oversize;
    });
  }

 private:
  template <class Totals, class Sum>
  std::optional<std::uint64_t> packets(Sum sum) const {
    Totals totals;
    if (!detail::read_at(publication_, &totals, sizeof totals, queue_.slot)) return std::nullopt;
    return sum(totals);
  }

  const Regions& regions_;
  const ProcessFile& publication_;
  const Queue& queue_;
};

constexpr nanoseconds longest_look = 20ms, longest_last_look = 200ms;

Error gone() { return {std::error_code(ESRCH, std::system_category()), "the interface has gone"}; }

// Becomes readable when the process ends.
Fd watch(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

}  // namespace

struct Tap::Impl {
  Impl(pid_t program, ProcessFile file, Fd life, TapConfig wanted, const Identity& what)
      : pid(program), publication(std::move(file)), alive(std::move(life)), config(std::move(wanted)), identity(what) {}

  using Take = std::function<void(const TappedPacket&)>;

  Result<State> look(const Take& take);
  Status refresh(const Take& take);
  Status open_link(const published::State& seen, const detail::PublishedCopy& copy, const Layout& layout);
  void add_queue(const RingState& ring, bool sent, std::uint16_t number, const Layout& layout);
  bool wanted(bool sent, std::uint16_t queue) const;
  void look_at_rings(const Take& take, nanoseconds time);
  void end_link(const Take& take);
  void close_link();
  bool dead() const;
  TapCounts sum(bool sent) const;

  const pid_t pid;
  const ProcessFile publication;
  const Fd alive;
  const TapConfig config;
  const Identity identity;

  std::uint64_t sequence = 1;  // of what is known: none
  std::uint64_t connects = 0;
  bool first = true;  // no link was looked at before
  State state = State::down;
  std::uint64_t links = 0;
  std::optional<Regions> regions;
  std::vector<Queue> queues;
  std::size_t turn = 0;               // the queue that is looked at first
  std::array<TapCounts, 2> former{};  // of former links: received, sent
  nanoseconds next = 0ns;
  std::chrono::steady_clock::time_point looked = std::chrono::steady_clock::now();
};

bool Tap::Impl::wanted(bool sent, std::uint16_t queue) const {
  if (!(sent ? config.tx : config.rx)) return false;
  return config.queues.empty() || std::find(config.queues.begin(), config.queues.end(), queue) != config.queues.end();
}

Result<Tap::State> Tap::Impl::look(const Take& take) {
  const bool was_dead = dead();  // before the last look
  look_at_rings(take, longest_look);
  if (Status refreshed = refresh(take); !refreshed) return refreshed.error();
  if (was_dead) {
    end_link(take);
    state = State::gone;
  }
  return state;
}

// Whether the control thread has changed anything, and what. Of an ended link, what came since the last look is taken
// first: its files are still open here.
Status Tap::Impl::refresh(const Take& take) {
  if (state == State::gone) return Nothing{};
  std::uint64_t now = 0;
  if (!detail::read_at(publication, &now, sizeof now, sizeof(Identity))) return detail::damaged("it cannot be read");
  if (now == sequence || now % 2 != 0) return Nothing{};
  const Layout layout(identity.rx_queues, identity.tx_queues);
  detail::PublishedCopy copy(layout.size);
  nanoseconds patience = 1ms;
  if (!copy.read(publication)) return detail::damaged("it cannot be read");
  if (!detail::read_between_changes(publication, copy, patience)) return Nothing{};  // the next look may be luckier
  const auto seen = copy.at<published::State>(sizeof(Identity));
  const bool same_link = state == State::up && seen.connected != 0 && seen.connects == connects;
  if (!same_link) end_link(take);
  if (seen.removed != 0) {
    state = State::gone;
  } else if (seen.connected != 0 && !same_link) {
    if (Status opened = open_link(seen, copy, layout); !opened) {
      // The link may have ended since, and its descriptors be others.
      std::uint64_t after = 0;
      close_link();
      if (dead() || !detail::read_at(publication, &after, sizeof after, sizeof(Identity)) || after != seen.sequence)
        return Nothing{};
      sequence = seen.sequence;  // it is told once
      return opened.error();
    }
    connects = seen.connects;
    state = State::up;
    ++links;
  }
  first = false;
  sequence = seen.sequence;
  return Nothing{};
}

Status Tap::Impl::open_link(const published::State& seen, const detail::PublishedCopy& copy, const Layout& layout) {
  regions.emplace(pid);
  if (Status opened = regions->open(seen); !opened) return opened;
  // Were these still the link's when they were opened?
  std::uint64_t after = 0;
  if (!detail::read_at(publication, &after, sizeof after, sizeof(Identity)) || after != seen.sequence)
    return detail::damaged("it has changed");
  const std::size_t rings = std::size_t{identity.rx_queues} + identity.tx_queues;
  for (std::size_t i = 0; i != rings; ++i) {
    const bool sent = i >= identity.rx_queues;
    const auto number = static_cast<std::uint16_t>(sent ? i - identity.rx_queues : i);
    if (wanted(sent, number)) add_queue(copy.at<RingState>(layout.rings + i * sizeof(RingState)), sent, number, layout);
  }
  return Nothing{};
}

void Tap::Impl::add_queue(const RingState& ring, bool sent, std::uint16_t number, const Layout& layout) {
  if (ring.ring_size < 1u << wire::min_log2_ring_size || ring.ring_size > 1u << wire::max_log2_ring_size ||
      !std::has_single_bit(ring.ring_size) || ring.offset > wire::region_reach)
    return;
  const bool client = identity.role == static_cast<int>(Role::client);
  const TapRing::Place place{.ring_size = ring.ring_size,
                             .region = ring.region,
                             .offset = ring.offset,
                             .to_server = sent == client,
                             .stays = client};
  const std::uint64_t slot = sent ? layout.tx + number * sizeof(TxSlot) : layout.rx + number * sizeof(RxSlot);
  queues.push_back({sent, number, slot, TapRing(place, static_cast<Mode>(identity.mode), config.keep, !first)});
}

// The rings may say that there is far more to read than memory: all of their packets in one buffer. So a look has its
// time, and the queues take turns in being the first.
void Tap::Impl::look_at_rings(const Take& take, nanoseconds time) {
  constexpr nanoseconds soonest = 50us, latest = 2ms, of_a_descriptor = 2us;
  const auto now = std::chrono::steady_clock::now();
  const auto since = now - std::exchange(looked, now);
  next = latest;
  ++turn;
  for (std::size_t i = 0; i != queues.size(); ++i) {
    Queue& queue = queues[(turn + i) % queues.size()];
    Source source(*regions, publication, queue);
    const auto hand_out = [&](std::span<const std::byte> data, std::uint64_t size) {
      take({.data = data, .size = size, .queue = queue.number, .sent = queue.sent});
    };
    static_cast<void>(queue.ring.look(source, hand_out, now + time));
    // So that an eighth of the ring is filled until the next look; for what begins suddenly, not much later.
    const std::uint64_t went_by = std::max<std::uint64_t>(queue.ring.went_by(), 1);
    const nanoseconds eighth = since / 8 * queue.ring.size() / went_by;
    next = std::min({next, eighth, of_a_descriptor * queue.ring.size()});
    if (queue.ring.behind() && std::chrono::steady_clock::now() >= now + time) next = 0ns;
  }
  next = std::max(next, soonest);
}

// What came since the last look is taken; what that takes too long for is missed.
void Tap::Impl::end_link(const Take& take) {
  look_at_rings(take, longest_last_look);
  for (Queue& queue : queues) queue.ring.give_up();
  close_link();
}

void Tap::Impl::close_link() {
  for (const bool sent : {false, true}) former[sent ? 1 : 0] = sum(sent);
  queues.clear();
  regions.reset();
  if (state == State::up) state = State::down;
}

bool Tap::Impl::dead() const {
  pollfd watched{alive.get(), POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

TapCounts Tap::Impl::sum(bool sent) const {
  TapCounts all = former[sent ? 1 : 0];
  for (const Queue& queue : queues) {
    if (queue.sent != sent) continue;
    const TapRing::Counts& counts = queue.ring.counts();
    all.packets += counts.packets;
    all.missed += counts.missed;
    all.invalid += counts.invalid;
    all.inferred += counts.inferred;
  }
  return all;
}

Result<Tap> Tap::open(const ObservedInterface& interface, TapConfig config) {
  const pid_t pid = interface.program.pid;
  if (pid == ::getpid())
    return Error{std::error_code(EINVAL, std::system_category()), "a program does not tap its own interfaces"};
  Fd alive = watch(pid);
  if (!alive) return system_error(errno, "process " + std::to_string(pid));
  const Result<Credentials> program = detail::credentials_of(pid);
  if (!program) return program.error();
  Result<ProcessFile> file = ProcessFile::open(pid, interface.file, ProcessFile::Kind::publication);
  if (!file) return gone();
  if (!file->locked_by_its_process() || !detail::may_be_of(*program, file->owner())) return gone();
  const Result<std::size_t> size = detail::published_size(*file);
  if (!size) return size.error();
  Identity identity;
  const Result<bool> there = detail::read_identity(*file, identity);
  if (!there) return there.error();
  if (!*there || identity.id != interface.id || identity.role != static_cast<int>(interface.role) ||
      Layout(identity.rx_queues, identity.tx_queues).size > *size)
    return gone();
  Tap tap(std::make_unique<Impl>(pid, std::move(*file), std::move(alive), std::move(config), identity));
  const Impl::Take none = [](const TappedPacket&) {};
  if (Status refreshed = tap.impl_->refresh(none); !refreshed) return refreshed.error();
  tap.impl_->look_at_rings(none, longest_look);  // what is there already is not new
  return tap;
}

Tap::Tap(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Tap::Tap(Tap&&) noexcept = default;
Tap& Tap::operator=(Tap&&) noexcept = default;
Tap::~Tap() = default;

Result<Tap::State> Tap::look(const std::function<void(const TappedPacket&)>& take) { return impl_->look(take); }
nanoseconds Tap::pause() const noexcept { return impl_->next; }
TapCounts Tap::rx() const noexcept { return impl_->sum(false); }
TapCounts Tap::tx() const noexcept { return impl_->sum(true); }
std::uint64_t Tap::links() const noexcept { return impl_->links; }

}  // namespace memif
