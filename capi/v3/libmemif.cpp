// Generation 3 of the C API: names, structures and callbacks; what they do is in capi/common.
#include "libmemif.h"

#include <atomic>
#include <cstring>

#include "api.hpp"
#include "connection.hpp"
#include "details.hpp"
#include "exchange.hpp"
#include "legacy.hpp"
#include "rx_mode.hpp"

namespace {

using namespace memif::capi;

// What a socket handle points to.
struct Socket {
  Instance* instance = nullptr;
  char path[108] = {};
};

// Cancelling happens in signal handlers.
std::atomic<Instance*> global{nullptr};

Instance* instance_of(memif_per_thread_main_handle_t handle) { return static_cast<Instance*>(handle); }
Socket* socket_of(memif_socket_handle_t handle) { return static_cast<Socket*>(handle); }

int number(Code code) { return static_cast<int>(code); }

int tell(const Instance& instance, int fd, unsigned events, void*) {
  const auto update = reinterpret_cast<memif_control_fd_update_t*>(instance.callback());
  return update(fd, static_cast<uint8_t>(events), instance.program_context());
}

Instance::Setup make_setup(memif_control_fd_update_t* update, const char* app_name, const Memory& memory) {
  Instance::Setup setup;
  setup.memory = memory;
  setup.tell = update != nullptr ? tell : nullptr;
  setup.callback = reinterpret_cast<Instance::Function>(update);
  setup.app_name = name_or_default(app_name, MEMIF_DEFAULT_APP_NAME);
  setup.requests = every_two_seconds;
  setup.interrupt_results = false;
  return setup;
}

Code create_socket(Instance* instance, memif_socket_handle_t* sock, const char* filename) {
  if (instance == nullptr || sock == nullptr || filename == nullptr) return Code::inval_arg;
  Socket socket{.instance = instance};
  const std::size_t length = std::strlen(filename);
  if (length == 0 || length >= sizeof socket.path) return Code::inval_arg;
  std::memcpy(socket.path, filename, length);
  const Instance::Turn turn(*instance);
  return guarded([&] {
    for (std::size_t i = 0; i < instance->sockets().size(); ++i)
      if (std::strcmp(static_cast<Socket*>(instance->sockets()[i])->path, filename) == 0) return Code::already;
    instance->sockets().reserve(instance->sockets().size() + 1);
    Socket* const made = instance->memory().make<Socket>(socket);
    instance->sockets().add(made);
    *sock = made;
    return Code::success;
  });
}

}  // namespace

extern "C" {

#include "calls.hpp"
#include "calls_of_3_and_4.hpp"

MEMIF_API uint16_t memif_get_version(void) { return memif::wire::version; }
MEMIF_API char* memif_strerror(int err_code) { return explain(err_code); }

MEMIF_API int memif_init(memif_control_fd_update_t* on_control_fd_update, char* app_name, memif_alloc_t* memif_alloc,
                         memif_realloc_t* memif_realloc, memif_free_t* memif_free) {
  if (global != nullptr) return number(Code::already);
  const Memory memory(memif_alloc, memif_realloc, memif_free);
  Instance* made = nullptr;
  const Code code = Instance::create(made, make_setup(on_control_fd_update, app_name, memory));
  if (code == Code::success) global = made;
  return number(code);
}

MEMIF_API int memif_cleanup(void) {
  Instance* const instance = global.exchange(nullptr);
  if (instance == nullptr) return number(Code::inval_arg);
  instance->destroy();
  return number(Code::success);
}

MEMIF_API int memif_per_thread_init(memif_per_thread_main_handle_t* pt_main, void* private_ctx,
                                    memif_control_fd_update_t* on_control_fd_update, char* app_name,
                                    memif_alloc_t* memif_alloc, memif_realloc_t* memif_realloc,
                                    memif_free_t* memif_free) {
  if (pt_main == nullptr) return number(Code::inval_arg);
  Instance::Setup setup = make_setup(on_control_fd_update, app_name, Memory(memif_alloc, memif_realloc, memif_free));
  setup.context = private_ctx;
  Instance* made = nullptr;
  const Code code = Instance::create(made, setup);
  if (code == Code::success) *pt_main = made;
  return number(code);
}

MEMIF_API int memif_per_thread_cleanup(memif_per_thread_main_handle_t* pt_main) {
  if (pt_main == nullptr || *pt_main == nullptr) return number(Code::inval_arg);
  instance_of(*pt_main)->destroy();
  *pt_main = nullptr;
  return number(Code::success);
}

MEMIF_API int memif_control_fd_handler(int fd, uint8_t) { return handle_event(global, fd); }
MEMIF_API int memif_per_thread_control_fd_handler(memif_per_thread_main_handle_t pt_main, int fd, uint8_t) {
  return handle_event(instance_of(pt_main), fd);
}

MEMIF_API int memif_poll_event(int timeout) { return poll(global, timeout); }
MEMIF_API int memif_per_thread_poll_event(memif_per_thread_main_handle_t pt_main, int timeout) {
  return poll(instance_of(pt_main), timeout);
}

MEMIF_API int memif_cancel_poll_event(void) { return cancel(global); }
MEMIF_API int memif_per_thread_cancel_poll_event(memif_per_thread_main_handle_t pt_main) {
  return cancel(instance_of(pt_main));
}

MEMIF_API int memif_set_connection_request_timer(struct itimerspec timer) {
  return memif_per_thread_set_connection_request_timer(global.load(), timer);
}
MEMIF_API int memif_per_thread_set_connection_request_timer(memif_per_thread_main_handle_t pt_main,
                                                            struct itimerspec timer) {
  return number(pt_main != nullptr ? instance_of(pt_main)->set_request_timer(timer) : Code::inval_arg);
}

MEMIF_API int memif_create_socket(memif_socket_handle_t* sock, const char* filename, void*) {
  return number(create_socket(global, sock, filename));
}
MEMIF_API int memif_per_thread_create_socket(memif_per_thread_main_handle_t pt_main, memif_socket_handle_t* sock,
                                             const char* filename, void*) {
  return number(create_socket(instance_of(pt_main), sock, filename));
}

MEMIF_API int memif_delete_socket(memif_socket_handle_t* sock) {
  if (sock == nullptr || *sock == nullptr) return number(Code::inval_arg);
  Socket* const socket = socket_of(*sock);
  Instance& instance = *socket->instance;
  const Instance::Turn turn(instance);
  for (std::size_t i = 0; i < instance.connections(); ++i)
    if (instance.connection(i)->socket_handle() == socket) return number(Code::inval_arg);
  instance.sockets().remove(socket);
  instance.memory().destroy(socket);
  *sock = nullptr;
  return number(Code::success);
}

MEMIF_API const char* memif_get_socket_filename(memif_socket_handle_t sock) {
  return sock != nullptr ? socket_of(sock)->path : nullptr;
}

MEMIF_API int memif_create(memif_conn_handle_t* conn, memif_conn_args_t* args, memif_connection_update_t* on_connect,
                           memif_connection_update_t* on_disconnect, memif_interrupt_t* on_interrupt,
                           void* private_ctx) {
  if (conn == nullptr || args == nullptr) return number(Code::inval_arg);
  return number(guarded([&] {
    Arguments arguments = common_arguments(*args);
    const Socket* const socket = socket_of(args->socket);
    arguments.socket = socket != nullptr ? socket->path : MEMIF_DEFAULT_SOCKET_PATH;
    arguments.socket_handle = args->socket;
    return Connection::create(conn, socket != nullptr ? socket->instance : global.load(), arguments,
                              {on_connect, on_disconnect, on_interrupt, private_ctx});
  }));
}

MEMIF_API int memif_request_connection(memif_conn_handle_t conn) {
  auto* const connection = static_cast<Connection*>(conn);
  if (connection == nullptr) return number(Code::noconn);
  return number(connection->client() ? connection->request() : Code::inval_arg);
}

MEMIF_DATA_API int memif_tx_burst(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                  uint16_t* tx) {
  return number(tx_burst(conn, qid, bufs, count, tx, Surplus::ignored));
}

MEMIF_API void memif_register_external_region(memif_add_external_region_t* ar, memif_get_external_region_addr_t* gr,
                                              memif_del_external_region_t* dr, memif_get_external_buffer_offset_t* go) {
  memif_per_thread_register_external_region(global.load(), ar, gr, dr, go);
}

MEMIF_API void memif_per_thread_register_external_region(memif_per_thread_main_handle_t pt_main,
                                                         memif_add_external_region_t* ar,
                                                         memif_get_external_region_addr_t* gr,
                                                         memif_del_external_region_t* dr,
                                                         memif_get_external_buffer_offset_t* go) {
  if (pt_main != nullptr) instance_of(pt_main)->set_regions({ar, gr, dr, go});
}

}  // extern "C"
