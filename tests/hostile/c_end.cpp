#include "c_end.hpp"

#include <stdexcept>

namespace memif::hostile {
namespace {

void check(int code) {
  if (code != MEMIF_ERR_SUCCESS) throw std::runtime_error(memif_strerror(code));
}

}  // namespace

#if GENERATION < 30

// The process's instance lives as long as any end does.
static int ends = 0;

void CEnd::open(const std::string& path) {
  path_ = path;
  args_.socket_filename = reinterpret_cast<std::uint8_t*>(path_.data());
  if (ends++ != 0) return;
  char name[] = "hostile";
#if GENERATION == 20
  check(memif_init(nullptr, name, nullptr, nullptr));
#else
  check(memif_init(nullptr, name, nullptr, nullptr, nullptr));
  check(memif_set_connection_request_timer({}));
#endif
}

void CEnd::close() {
  if (--ends == 0) memif_cleanup();
}

void CEnd::poll(std::chrono::milliseconds wait) { memif_poll_event(static_cast<int>(wait.count())); }

#elif GENERATION == 30

void CEnd::open(const std::string& path) {
  char name[] = "hostile";
  check(memif_per_thread_init(&instance_, nullptr, nullptr, name, nullptr, nullptr, nullptr));
  check(memif_per_thread_set_connection_request_timer(instance_, {}));
  check(memif_per_thread_create_socket(instance_, &socket_, path.c_str(), nullptr));
  args_.socket = socket_;
}

void CEnd::close() {
  memif_delete_socket(&socket_);
  memif_per_thread_cleanup(&instance_);
}

void CEnd::poll(std::chrono::milliseconds wait) {
  memif_per_thread_poll_event(instance_, static_cast<int>(wait.count()));
}

#else

void CEnd::open(const std::string& path) {
  memif_socket_args_t socket{};
  path.copy(socket.path, sizeof socket.path - 1);
  check(memif_create_socket(&socket_, &socket, nullptr));
  args_.socket = socket_;
}

void CEnd::close() { memif_delete_socket(&socket_); }

void CEnd::poll(std::chrono::milliseconds wait) { memif_poll_event(socket_, static_cast<int>(wait.count())); }

#endif

CEnd::CEnd(const std::string& path, const memif_conn_args_t& args, bool interrupts)
    : args_(args), on_interrupt_(interrupts ? on_interrupt : nullptr) {
  open(path);
  create();
}

CEnd::~CEnd() {
  memif_delete(&connection_);
  close();
}

void CEnd::create() { check(memif_create(&connection_, &args_, on_connect, on_disconnect, on_interrupt_, this)); }

void CEnd::connect() {
#if GENERATION == 20
  renew();
#else
  memif_request_connection(connection_);
#endif
}

void CEnd::renew() {
  check(memif_delete(&connection_));
  create();
}

int CEnd::on_connect(memif_conn_handle_t connection, void* self) {
  memif_refill_queue(connection, 0, UINT16_MAX, 0);
  ++static_cast<CEnd*>(self)->connects_;
  return 0;
}

int CEnd::on_disconnect(memif_conn_handle_t, void* self) {
  ++static_cast<CEnd*>(self)->disconnects_;
  return 0;
}

int CEnd::on_interrupt(memif_conn_handle_t, void* self, std::uint16_t) {
  auto* const end = static_cast<CEnd*>(self);
  end->stray_interrupts_ += end->up() ? 0 : 1;
  return 0;
}

}  // namespace memif::hostile
