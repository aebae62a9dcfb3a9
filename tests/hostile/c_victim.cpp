#include "c_victim.hpp"

#include <cstring>
#include <poll.h>
#include <stdexcept>

#include "support/resources.hpp"
#include "victim.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

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

void check(int code) {
  if (code != MEMIF_ERR_SUCCESS) throw std::runtime_error(memif_strerror(code));
}

memif_details_t details(memif_conn_handle_t connection, std::vector<char>& text) {
  memif_details_t details{};
  text.resize(64 * 1024);
  check(memif_get_details(connection, &details, text.data(), static_cast<ssize_t>(text.size())));
  return details;
}

}  // namespace

// --- CEnd

CEnd::CEnd(const std::string& path, const memif_conn_args_t& args) : args_(args) {
  memif_socket_args_t socket{};
  path.copy(socket.path, sizeof socket.path - 1);
  check(memif_create_socket(&socket_, &socket, nullptr));
  args_.socket = socket_;
  create();
}

CEnd::~CEnd() {
  memif_delete(&connection_);
  memif_delete_socket(&socket_);
}

void CEnd::create() { check(memif_create(&connection_, &args_, on_connect, on_disconnect, nullptr, this)); }

void CEnd::renew() {
  check(memif_delete(&connection_));
  create();
}

int CEnd::on_connect(memif_conn_handle_t connection, void* self) {
  memif_refill_queue(connection, 0, UINT16_MAX, 0);
  static_cast<CEnd*>(self)->up_ = true;
  return 0;
}

int CEnd::on_disconnect(memif_conn_handle_t, void* self) {
  auto* const end = static_cast<CEnd*>(self);
  end->up_ = false;
  ++end->disconnects_;
  return 0;
}

// --- CBystander

CBystander::CBystander()
    : path_(unique_socket("c-bystander")), here_(path_, bystanding(true)), there_(path_, bystanding(false)) {
  thread_ = std::thread([this] { run(); });
}

CBystander::~CBystander() {
  stop_ = true;
  thread_.join();
}

void CBystander::run() {
  while (!stop_) {
    there_.poll(1);
    if (!connected()) continue;
    exchange(here_, there_);
    exchange(there_, here_);
  }
}

void CBystander::exchange(const CEnd& from, const CEnd& to) {
  std::array<memif_buffer_t, 32> buffers;
  std::array<char, 256> expected;
  std::uint16_t allocated = 0, sent = 0, received = 0;
  memif_buffer_alloc(from.connection(), 0, buffers.data(), 16, &allocated, 256);
  const std::uint32_t first = number_;
  for (std::uint16_t i = 0; i < allocated; ++i, ++number_) {
    std::memset(buffers[i].data, static_cast<int>(number_ % 251), 256);
    std::memcpy(buffers[i].data, &number_, sizeof number_);
  }
  memif_tx_burst(from.connection(), 0, buffers.data(), allocated, &sent);
  memif_rx_burst(to.connection(), 0, buffers.data(), 32, &received);
  if (received != sent) ++wrong_;
  for (std::uint32_t i = 0; i < received; ++i) {
    const std::uint32_t number = first + i;
    std::memset(expected.data(), static_cast<int>(number % 251), expected.size());
    std::memcpy(expected.data(), &number, sizeof number);
    const bool right = buffers[i].len == 256 && std::memcmp(buffers[i].data, expected.data(), 256) == 0;
    ++(right ? verified_ : wrong_);
  }
  memif_refill_queue(to.connection(), 0, received, 0);
}

// --- CVictim

CVictim::CVictim(Role role, Setup) : path_(unique_socket("c-attacked")), end_(path_, attacked(role)) {}

void CVictim::prepare() {
  if (descriptors_ == 0) descriptors_ = test::open_descriptors();
}

void CVictim::turn() {
  end_.poll(0);
  bystander_.poll(0);
  receive();
  send();
  ::poll(nullptr, 0, 0);
}

bool CVictim::turn_until(const std::function<bool()>& done) {
  const auto deadline = Clock::now() + 20s;
  while (!done()) {
    if (Clock::now() > deadline) return false;
    turn();
    end_.poll(1);
  }
  return true;
}

double CVictim::idle_load() {
  const auto before = cpu_time();
  const auto start = Clock::now();
  while (Clock::now() - start < 40ms) {
    end_.poll(5);
    bystander_.poll(0);
    int fd = -1;
    memif_get_queue_efd(end_.connection(), 0, &fd);
    pollfd event{fd, POLLIN, 0};
    ::poll(&event, 1, 10);
    receive();
  }
  return std::chrono::duration<double>(cpu_time() - before) / std::chrono::duration<double>(Clock::now() - start);
}

std::uint64_t CVictim::count(const Expected& expected) const {
  return expected.outcome == Outcome::lost ? end_.disconnects() : 0;
}

// What was refused or dropped, no call and no callback tells.
bool CVictim::tells(const Expected& expected, std::uint64_t before) const {
  if (expected.outcome != Outcome::lost) return true;
  return count(expected) > before && !last_reason(expected).text.empty();
}

Reason CVictim::last_reason(const Expected&) const {
  std::vector<char> text;
  const auto* const error = reinterpret_cast<const char*>(details(end_.connection(), text).error);
  return {{}, false, error};
}

bool CVictim::settled() const { return !end_.up() && test::open_descriptors() == descriptors_; }

void CVictim::learn_regions() {
  std::vector<char> text;
  const memif_details_t now = details(end_.connection(), text);
  regions_.assign(now.regions, now.regions + now.regions_num);
}

bool CVictim::inside(const memif_buffer_t& buffer) const {
  for (const memif_region_details_t& region : regions_) {
    const auto offset = reinterpret_cast<std::uintptr_t>(buffer.data) - reinterpret_cast<std::uintptr_t>(region.addr);
    if (offset <= region.size && buffer.len <= region.size - offset) return true;
  }
  return false;
}

void CVictim::receive() {
  learn_regions();
  std::array<memif_buffer_t, 32> buffers;
  std::uint16_t received = 0;
  memif_rx_burst(end_.connection(), 0, buffers.data(), buffers.size(), &received);
  end_.poll(0);  // the link may go down meanwhile: what was received can still be read
  for (std::uint16_t i = 0; i < received; ++i) {
    const memif_buffer_t& buffer = buffers[i];
    if (!inside(buffer)) {
      ++outside_;
      continue;
    }
    const auto* const bytes = static_cast<const volatile std::uint8_t*>(buffer.data);
    for (std::uint32_t at = 0; at < buffer.len; ++at) checksum_ += bytes[at];
    if (!in_packet_ && buffer.len >= 4) {
      good_ += std::memcmp(buffer.data, "GOOD", 4) == 0 ? 1 : 0;
      evil_ += std::memcmp(buffer.data, "EVIL", 4) == 0 ? 1 : 0;
    }
    in_packet_ = (buffer.flags & MEMIF_BUFFER_FLAG_NEXT) != 0;
  }
  memif_refill_queue(end_.connection(), 0, received, 0);
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
    memif_buffer_alloc(end_.connection(), 0, buffers.data(), packets, &allocated, size);
    if (allocated > room || buffers[room].len != 0x77777777) ++outside_;
    for (std::uint16_t i = 0; i < allocated && i < room; ++i) {
      if (inside(buffers[i]))
        std::memset(buffers[i].data, 0x5a, buffers[i].len);
      else
        ++outside_;
    }
    memif_tx_burst(end_.connection(), 0, buffers.data(), allocated, &sent);
  }
}

}  // namespace memif::hostile
