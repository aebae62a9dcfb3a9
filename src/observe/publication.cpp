#include "observe/publication.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace memif::detail {
namespace {

using namespace published;

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

template <std::size_t size>
void copy_text(char (&to)[size], const std::string& from) {
  std::memcpy(to, from.data(), std::min(size, from.size()));
}

void fill(RingState& to, const RingInfo& ring, const std::vector<RegionInfo>& regions) {
  to = {.ring_size = ring.ring_size,
        .buffer_size = ring.buffer_size,
        .offset = ring.offset,
        .region = ring.region,
        .pad = 0,
        .region_fd = ring.region < regions.size() ? regions[ring.region].fd : -1,
        .pad1 = 0};
}

void fill(State& to, const InterfaceInfo& info) {
  to.connected = info.connected ? 1 : 0;
  to.connects = info.connects;
  to.disconnects = info.disconnects;
  to.refusals = info.refusals;
  if (info.peer) {
    copy_text(to.peer_app_name.bytes, info.peer->app_name);
    copy_text(to.peer_interface_name.bytes, info.peer->interface_name);
    to.peer_version = info.peer->version;
    to.peer_pid = info.peer->credentials.pid;
    to.peer_uid = info.peer->credentials.uid;
    to.peer_gid = info.peer->credentials.gid;
  }
  if (info.last_reason) {
    to.reason_kind = info.last_reason->code.category() == memif_category() ? ReasonKind::memif : ReasonKind::system;
    to.reason_code = info.last_reason->code.value();
    to.reason_from_peer = info.last_reason->from_peer ? 1 : 0;
    copy_text(to.reason, info.last_reason->text);
  }
  to.regions = static_cast<std::uint32_t>(info.regions.size());
  for (std::size_t i = 0; i < std::min(info.regions.size(), most_regions); ++i)
    to.region[i] = {.size = info.regions[i].size,
                    .external = info.regions[i].external,
                    .sealed = info.regions[i].sealed,
                    .pad = {},
                    .file = info.regions[i].fd + 1};
}

// Release, so that no word can be seen before the sequence that announces it.
void store_words(std::byte* to, const void* from, std::size_t bytes) noexcept {
  for (std::size_t at = 0; at != bytes; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, static_cast<const std::byte*>(from) + at, 8);
    std::atomic_ref(*reinterpret_cast<std::uint64_t*>(to + at)).store(word, std::memory_order_release);
  }
}

// By this lock observers know that this process made the file. It goes with any descriptor of the file that this
// process closes: so it opens no other. But a peer of the same user can, and send it here.
bool lock(int fd) {
  struct flock mine {};
  mine.l_type = F_WRLCK;
  mine.l_whence = SEEK_SET;
  return ::fcntl(fd, F_SETLK, &mine) == 0;
}

}  // namespace

Result<Publication> Publication::create(const std::string& app_name, const InterfaceConfig& config) {
  const Layout layout(config.rx_queues, config.tx_queues);
  bool ignored = false;
  auto region = Region::create(published::file_name, layout.size, {.huge_pages = false, .prefault = true}, ignored);
  if (!region) return region.error();
  // The file has no path but /proc/PID/fd, which is for this user and root only; this says the same once more.
  if (::fchmod(region->fd(), S_IRUSR) != 0) return system_error(errno, "cannot restrict the file of an interface");
  if (!lock(region->fd())) return system_error(errno, "cannot lock the file of an interface");

  std::byte* const base = region->data();
  Identity& identity = *new (base) Identity{};
  identity.version = published::version;
  identity.pid = ::getpid();
  identity.started_ns = now_ns();
  identity.id = config.id;
  identity.role = static_cast<std::uint8_t>(config.role);
  identity.mode = static_cast<std::uint8_t>(config.mode);
  identity.rx_queues = config.rx_queues;
  identity.tx_queues = config.tx_queues;
  copy_text(identity.app_name.bytes, app_name);
  copy_text(identity.name.bytes, config.name);
  copy_text(identity.socket, config.socket);
  new (base + sizeof(Identity)) State{};
  for (std::size_t i = 0; i < config.rx_queues; ++i) new (base + layout.rx + i * sizeof(RxSlot)) RxSlot;
  for (std::size_t i = 0; i < config.tx_queues; ++i) new (base + layout.tx + i * sizeof(TxSlot)) TxSlot;
  // Last: an observer that comes too early finds no interface.
  std::atomic_ref(identity.magic).store(published::magic, std::memory_order_release);
  return Publication(std::move(*region), config.rx_queues, config.tx_queues);
}

RxCounters& Publication::rx(std::size_t queue) const noexcept {
  return reinterpret_cast<RxSlot*>(region_.data() + layout_.rx)[queue].counters;
}

TxCounters& Publication::tx(std::size_t queue) const noexcept {
  return reinterpret_cast<TxSlot*>(region_.data() + layout_.tx)[queue].counters;
}

State& Publication::state() const noexcept { return *reinterpret_cast<State*>(region_.data() + sizeof(Identity)); }

void Publication::update(const InterfaceInfo& info) {
  static_cast<void>(lock(region_.fd()));  // again, if it was lost
  if (changed_ns_ == 0 || was_connected_ != info.connected) changed_ns_ = now_ns();
  was_connected_ = info.connected;
  State next{};
  fill(next, info);
  next.changed_ns = changed_ns_;

  std::vector<RingState> rings(std::size_t{rx_queues_} + tx_queues_);
  for (const RingInfo& ring : info.rx)
    if (ring.queue < rx_queues_) fill(rings[ring.queue], ring, info.regions);
  for (const RingInfo& ring : info.tx)
    if (ring.queue < tx_queues_) fill(rings[std::size_t{rx_queues_} + ring.queue], ring, info.regions);
  put(next, rings);
}

void Publication::withdraw() noexcept {
  State gone{};
  gone.removed = 1;
  put(gone, {});
}

void Publication::put(const State& next, std::span<const RingState> rings) noexcept {
  std::byte* const base = region_.data() + sizeof(Identity);
  std::atomic_ref sequence(state().sequence);
  const std::uint64_t before = sequence.load(std::memory_order_relaxed);
  sequence.store(before + 1, std::memory_order_relaxed);
  constexpr std::size_t first = sizeof next.sequence;
  store_words(base + first, reinterpret_cast<const std::byte*>(&next) + first, sizeof next - first);
  store_words(base + sizeof next, rings.data(), rings.size_bytes());
  sequence.store(before + 2, std::memory_order_release);
}

}  // namespace memif::detail
