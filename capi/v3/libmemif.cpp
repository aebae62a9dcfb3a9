// Generation 3 of the C API: names, structures and callbacks; what they do is in capi/core.
#include "libmemif.h"

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
  void* none = nullptr;  // the first word: memif_delete_socket (handle), without the &, finds no socket
  Instance* instance = nullptr;
  char path[108] = {};
};

constexpr const Generation& generation = generation_3;

Instance* instance_of(memif_per_thread_main_handle_t handle) { return Instance::of(handle); }
Socket* socket_of(memif_socket_handle_t handle) { return static_cast<Socket*>(handle); }

int number(Code code) { return value_of(code, generation.codes); }

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
#include "calls_of_21_and_3.hpp"
#include "calls_of_2_to_3.hpp"
#include "calls_of_3_and_4.hpp"

MEMIF_API int memif_per_thread_init(memif_per_thread_main_handle_t* pt_main, void* private_ctx,
                                    memif_control_fd_update_t* on_control_fd_update, char* app_name,
                                    memif_alloc_t* memif_alloc, memif_realloc_t* memif_realloc,
                                    memif_free_t* memif_free) {
  if (pt_main == nullptr) return number(Code::inval_arg);
  const Memory memory(memif_alloc, memif_realloc, memif_free);
  Instance::Setup setup = make_setup(generation, on_control_fd_update, app_name, memory);
  setup.context = private_ctx;
  Instance* made = nullptr;
  const Code code = Instance::create(made, setup);
  if (code == Code::success) *pt_main = made->handle();
  return number(code);
}

MEMIF_API int memif_per_thread_cleanup(memif_per_thread_main_handle_t* pt_main) {
  if (pt_main == nullptr || *pt_main == nullptr) return number(Code::inval_arg);
  instance_of(*pt_main)->destroy();
  *pt_main = nullptr;
  return number(Code::success);
}

MEMIF_API int memif_per_thread_control_fd_handler(memif_per_thread_main_handle_t pt_main, int fd, uint8_t) {
  return number(handle_event(instance_of(pt_main), fd));
}

MEMIF_API int memif_per_thread_poll_event(memif_per_thread_main_handle_t pt_main, int timeout) {
  return number(poll(instance_of(pt_main), timeout));
}

MEMIF_API int memif_per_thread_cancel_poll_event(memif_per_thread_main_handle_t pt_main) {
  return number(cancel(instance_of(pt_main)));
}

MEMIF_API int memif_per_thread_set_connection_request_timer(memif_per_thread_main_handle_t pt_main,
                                                            struct itimerspec timer) {
  return number(set_request_timer(instance_of(pt_main), timer));
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

MEMIF_API void memif_per_thread_register_external_region(memif_per_thread_main_handle_t pt_main,
                                                         memif_add_external_region_t* ar,
                                                         memif_get_external_region_addr_t* gr,
                                                         memif_del_external_region_t* dr,
                                                         memif_get_external_buffer_offset_t* go) {
  register_external_region(instance_of(pt_main), {ar, gr, dr, go});
}

}  // extern "C"
