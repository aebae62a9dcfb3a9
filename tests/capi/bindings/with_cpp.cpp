// libmemif, generation 4, from a C++ class as bindings have it: the header in an extern "C" of the program's own,
// callbacks that are static members, and a loop that is told of descriptors.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
#include <memif/libmemif.h>
}

static_assert(sizeof(memif_buffer_t) == 32 && sizeof(memif_conn_args_t) == 80 && sizeof(memif_details_t) == 120);

namespace {

class End {
 public:
  explicit End(bool master) {
    memif_socket_args_t socket{};
    std::strncpy(socket.path, std::getenv("SOCKET"), sizeof socket.path - 1);
    std::strncpy(socket.app_name, "c++", sizeof socket.app_name - 1);
    socket.on_control_fd_update = on_descriptor;
    check(memif_create_socket(&socket_, &socket, this));
    memif_conn_args_t args{};
    args.socket = socket_;
    args.is_master = static_cast<std::uint8_t>(master);
    check(memif_create(&connection_, &args, on_connect, on_disconnect, on_interrupt, this));
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() {
    memif_delete(&connection_);
    memif_delete_socket(&socket_);
    if (!watched_.empty()) std::abort();
  }

  void turn() {
    std::vector<pollfd> descriptors;
    for (const auto& [fd, event] : watched_)
      descriptors.push_back({fd, static_cast<short>(event.type & MEMIF_FD_EVENT_WRITE ? POLLIN | POLLOUT : POLLIN), 0});
    ::poll(descriptors.data(), descriptors.size(), 1);
    for (const pollfd& descriptor : descriptors) {
      const auto found = watched_.find(descriptor.fd);
      if (descriptor.revents == 0 || found == watched_.end()) continue;
      memif_control_fd_handler(found->second.private_ctx, MEMIF_FD_EVENT_READ);
    }
  }

  bool up() const { return up_; }
  const std::string& received() const { return received_; }

  void send(const std::string& packet) {
    memif_buffer_t buffer{};
    std::uint16_t n = 0;
    check(memif_buffer_alloc(connection_, 0, &buffer, 1, &n, static_cast<std::uint16_t>(packet.size())));
    std::memcpy(buffer.data, packet.data(), packet.size());
    check(memif_tx_burst(connection_, 0, &buffer, n, &n));
  }

 private:
  static void check(int code) {
    if (code != MEMIF_ERR_SUCCESS) throw std::runtime_error(memif_strerror(code));
  }
  static int on_descriptor(memif_fd_event_t event, void* self) {
    auto& watched = static_cast<End*>(self)->watched_;
    if ((event.type & MEMIF_FD_EVENT_DEL) != 0)
      watched.erase(event.fd);
    else
      watched[event.fd] = event;
    return 0;
  }
  static int on_connect(memif_conn_handle_t connection, void* self) {
    static_cast<End*>(self)->up_ = true;
    return memif_refill_queue(connection, 0, static_cast<std::uint16_t>(-1), 0);
  }
  static int on_disconnect(memif_conn_handle_t, void* self) {
    static_cast<End*>(self)->up_ = false;
    return 0;
  }
  static int on_interrupt(memif_conn_handle_t connection, void* self, std::uint16_t queue) {
    memif_buffer_t buffers[16];
    std::uint16_t n = 0;
    memif_rx_burst(connection, queue, buffers, 16, &n);
    for (std::uint16_t i = 0; i < n; ++i)
      static_cast<End*>(self)->received_.append(static_cast<const char*>(buffers[i].data), buffers[i].len);
    return memif_refill_queue(connection, queue, n, 0);
  }

  memif_socket_handle_t socket_ = nullptr;
  memif_conn_handle_t connection_ = nullptr;
  std::map<int, memif_fd_event_t> watched_;
  bool up_ = false;
  std::string received_;
};

}  // namespace

int main() {
  End master(true), slave(false);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool sent = false;
  while (master.received() != "to the master" || slave.received() != "to the slave") {
    if (std::chrono::steady_clock::now() > end) return 1;
    master.turn();
    slave.turn();
    if (!sent && master.up() && slave.up()) {
      sent = true;
      slave.send("to the master");
      master.send("to the slave");
    }
  }
  std::puts("packets both ways");
}
