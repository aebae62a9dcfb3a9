#include "c_victim.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>

#include "support/resources.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;
using Region = CVictim::Region;

memif_conn_args_t attacked(Role role) {
  memif_conn_args_t args{};
  args.is_master = role == Role::server ? 1 : 0;
  args.interface_id = good_id;
  args.log2_ring_size = ring_log2;
  args.buffer_size = buffer_size;
  if (role == Role::server) std::memcpy(args.secret, good_secret, std::strlen(good_secret));
  return args;
}

memif_conn_args_t bystanding(bool master) {
  memif_conn_args_t args{};
  args.is_master = master ? 1 : 0;
  args.log2_ring_size = 8;
  return args;
}

// Of an interface's details. Generation 2.0 has neither.
struct Told {
  std::vector<Region> regions;
  std::string error;
};

Told ask([[maybe_unused]] memif_conn_handle_t connection) {
  Told told;
#if GENERATION >= 21
  memif_details_t details{};
  std::vector<char> text(std::size_t{64} * 1024);
  const int code = memif_get_details(connection, &details, text.data(), static_cast<ssize_t>(text.size()));
  if (code != MEMIF_ERR_SUCCESS) throw std::runtime_error(memif_strerror(code));
  for (unsigned i = 0; i < details.regions_num; ++i)
    told.regions.push_back({reinterpret_cast<std::uintptr_t>(details.regions[i].addr), details.regions[i].size});
  told.error = reinterpret_cast<const char*>(details.error);
#endif
  return told;
}

std::vector<Region> shared_memory() {
  std::vector<Region> regions;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash;
    std::istringstream(line) >> std::hex >> begin >> dash >> end;
    if (line.find("/memfd:") != std::string::npos) regions.push_back({begin, end - begin});
  }
  return regions;
}

// Without the peers' own that take long to close, which are sockets of a network: these are to be gone when the peer
// has cleaned up.
std::size_t kept_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    int domain = AF_UNIX;
    socklen_t length = sizeof domain;
    ::getsockopt(std::stoi(entry.path().filename()), SOL_SOCKET, SO_DOMAIN, &domain, &length);
    count += domain == AF_INET ? 0 : 1;
  }
  return count;
}

const char* words(Errc code) {
  switch (code) {
    case Errc::peer_gone:
      return "the peer closed the control channel";
    case Errc::timed_out:
      return "handshake timed out";
    default:
      return "";
  }
}

}  // namespace

// --- CBystander

CBystander::CBystander()
    : path_(unique_socket("c-bystander")),
      here_(path_, bystanding(true), false),
      there_(path_, bystanding(false), false) {
  thread_ = std::thread([this] { run(); });
}

CBystander::~CBystander() {
  stop_ = true;
  thread_.join();
}

void CBystander::run() {
  for (; !stop_; next_round()) {
    polls_alone ? there_.poll(1ms) : std::this_thread::sleep_for(1ms);
    if (!connected()) continue;
    exchange(here_, there_);
    exchange(there_, here_);
  }
}

void CBystander::exchange(const CEnd& from, const CEnd& to) {
  std::array<memif_buffer_t, 2 * burst_size> buffers;
  std::uint16_t allocated = 0, sent = 0, received = 0;
  memif_buffer_alloc(from.connection(), 0, buffers.data(), burst_size, &allocated, packet_size);
  for (std::uint16_t i = 0; i < allocated; ++i) write(buffers[i].data);
  memif_tx_burst(from.connection(), 0, buffers.data(), allocated, &sent);
  memif_rx_burst(to.connection(), 0, buffers.data(), buffers.size(), &received);
  for (std::uint16_t i = 0; i < received; ++i) compare(buffers[i].data, buffers[i].len);
  arrived(received, sent);
  memif_refill_queue(to.connection(), 0, received, 0);
}

// --- CVictim

CVictim::CVictim(Role role, Setup)
    : role_(role), path_(unique_socket("c-attacked")), end_(path_, attacked(role), true) {}

void CVictim::prepare() {
  if (descriptors_ == 0) descriptors_ = test::open_descriptors();
}

// What the library was still closing when they were counted first, is none of them: that its threads are at it cannot
// be seen for sure.
bool CVictim::as_before(std::size_t descriptors) const {
  descriptors_ = std::min(descriptors_, descriptors);
  return descriptors == descriptors_;
}

void CVictim::one_turn(std::chrono::milliseconds wait) {
  const std::uint64_t strays_before = end_.stray_interrupts();
  end_.poll(0ms);
  bystander_.poll();
  receive();
  send();
  end_.poll(wait);
  mistaken_ += end_.stray_interrupts() - strays_before;
}

void CVictim::idle_turn() {
  end_.poll(5ms);
  bystander_.poll();
  int fd = -1;
  called(memif_get_queue_efd(end_.connection(), 0, &fd));
  pollfd event{fd, POLLIN, 0};
  ::poll(&event, 1, 10);
  receive();
}

std::uint64_t CVictim::count(const Expected& expected) const {
  return expected.outcome == Outcome::lost ? end_.disconnects() : 0;
}

// What was dropped, no call and no callback tells. An attempt that ended leaves nothing behind; but a client keeps the
// channel of one that timed out until the server has greeted it or is gone: docs/protocol.md, "Leaving".
bool CVictim::tells(const Expected& expected, std::uint64_t before) const {
  const std::string text = last_reason(expected).text;
  const bool told = !details_tell_more || (!text.empty() && text.find(words(expected.code)) != std::string::npos);
  if (expected.outcome == Outcome::lost) return count(expected) > before && told;
  if (expected.outcome == Outcome::refused && role_ == Role::client && expected.code == Errc::timed_out)
    return !end_.up() && told && kept_descriptors() <= descriptors_ + 1;
  if (expected.outcome == Outcome::refused)
    return !end_.up() && as_before(kept_descriptors()) && (told || role_ == Role::server);
  return true;
}

Reason CVictim::last_reason(const Expected&) const { return {{}, false, ask(end_.connection()).error}; }

bool CVictim::settled() const { return !end_.up() && as_before(test::open_descriptors()) && !test::is_closing(); }

// What a data call has returned.
void CVictim::called(int code) {
  if (!end_.up() && code != MEMIF_ERR_DISCONNECTED) ++mistaken_;
}

void CVictim::connect() {
  if (GENERATION == 20 && !settled()) return;  // it would give up the attempt that is under way
  end_.connect();
}

void CVictim::learn_regions() {
  if (details_tell_more) regions_ = ask(end_.connection()).regions;
}

// Generation 2.0 tells no regions: there it is all memory that this process shares.
bool CVictim::inside(const memif_buffer_t& buffer) {
  const auto within = [&](const Region& region) {
    const auto offset = reinterpret_cast<std::uintptr_t>(buffer.data) - region.begin;
    return offset <= region.size && buffer.len <= region.size - offset;
  };
  if (std::any_of(regions_.begin(), regions_.end(), within)) return true;
  if (details_tell_more) return false;
  regions_ = shared_memory();
  return std::any_of(regions_.begin(), regions_.end(), within);
}

void CVictim::receive() {
  learn_regions();
  std::array<memif_buffer_t, 32> buffers;
  std::uint16_t received = 0;
  called(memif_rx_burst(end_.connection(), 0, buffers.data(), buffers.size(), &received));
  end_.poll(0ms);  // the link may go down meanwhile: what was received can still be read
  for (std::uint16_t i = 0; i < received; ++i) {
    const memif_buffer_t& buffer = buffers[i];
    if (!inside(buffer)) {
      ++outside_;
      continue;
    }
    const auto* const bytes = static_cast<const volatile std::uint8_t*>(buffer.data);
    for (std::uint32_t at = 0; at < buffer.len; ++at) checksum_ += bytes[at];
    if (!in_packet_) saw(buffer.data, buffer.len);
    in_packet_ = (buffer.flags & MEMIF_BUFFER_FLAG_NEXT) != 0;
  }
  called(memif_refill_queue(end_.connection(), 0, received, 0));
}

// The array is as long as the API says, and what lies behind it must stay as it is.
void CVictim::send() {
  learn_regions();
  for (const std::uint16_t size : {std::uint16_t{64}, std::uint16_t{1500}, std::uint16_t{5000}}) {
    constexpr std::uint16_t packets = 4;
    const std::size_t room = packets * ((size + buffer_size - 1) / buffer_size);
    std::vector<memif_buffer_t> buffers(room + 1);
    buffers[room].len = 0x77777777;
    std::uint16_t allocated = 0, sent = 0;
    called(memif_buffer_alloc(end_.connection(), 0, buffers.data(), packets, &allocated, size));
    if (allocated > room || buffers[room].len != 0x77777777) ++outside_;
    for (std::uint16_t i = 0; i < allocated && i < room; ++i) {
      if (inside(buffers[i]))
        std::memset(buffers[i].data, 0x5a, buffers[i].len);
      else
        ++outside_;
    }
    called(memif_tx_burst(end_.connection(), 0, buffers.data(), allocated, &sent));
  }
}

}  // namespace memif::hostile
