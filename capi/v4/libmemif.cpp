// Generation 4 of the C API: names, structures and callbacks; what they do is in capi/core.
#include "libmemif.h"

#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

#include "api.hpp"
#include "connection.hpp"
#include "details.hpp"
#include "exchange.hpp"
#include "rx_mode.hpp"

namespace {

using namespace memif::capi;

// What a socket handle points to: an instance and the path that its interfaces share.
struct Socket {
  void* none = nullptr;  // the first word: memif_delete_socket (handle), without the &, finds no socket
  Instance* instance = nullptr;
  char path[sizeof(memif_socket_args_t::path)] = {};
};

Socket* socket_of(memif_socket_handle_t handle) { return static_cast<Socket*>(handle); }

constexpr const Generation& generation = generation_4;

int number(Code code) { return value_of(code, generation.codes); }

int tell(const Instance& instance, int fd, unsigned events, void* token) {
  const auto update = reinterpret_cast<memif_control_fd_update_t*>(instance.callback());
  return update({fd, static_cast<memif_fd_event_type_t>(events), token}, instance.program_context());
}

// A leading NUL means the same as '@'.
bool take_path(const char (&from)[108], char (&to)[108]) {
  const bool abstract = from[0] == '\0';
  const std::size_t skip = abstract ? 1 : 0;
  const std::size_t length = skip + strnlen(from + skip, sizeof from - skip);
  if (length == sizeof from || length == skip) return false;
  std::memcpy(to, from, length);
  if (abstract) to[0] = '@';
  return true;
}

// What adopting would refuse anyway, in the words of this API, and with the descriptor still the caller's.
Code check_listener(int fd) {
  int value = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0) return Code::success;
  return fail(memif::system_error(errno, "listener " + std::to_string(fd) + ": getsockopt"));
}

Code adopt(Socket& socket, int fd) {
  if (const Code checked = check_listener(fd); checked != Code::success) return checked;
  if (socket.instance->context().listener_fd(socket.path) >= 0) return Code::already;
  const memif::Fd spare(::dup(fd));
  memif::Status adopted = socket.instance->context().adopt_listener(socket.path, memif::Fd(fd));
  if (adopted) return Code::success;
  if (spare) ::dup2(spare.get(), fd);
  return socket.instance->callback_failed() ? Code::cb_fdupdate : fail(adopted.error());
}

}  // namespace

extern "C" {

#include "calls.hpp"
#include "calls_of_3_and_4.hpp"

MEMIF_API const char* memif_get_version_str(void) {
  static_assert(memif::wire::version == 0x0200);
  return "2.0";
}

MEMIF_API int memif_create_socket(memif_socket_handle_t* sock, memif_socket_args_t* args, void* private_ctx) {
  if (sock == nullptr || args == nullptr) return number(Code::inval_arg);
  Socket socket;
  if (!take_path(args->path, socket.path)) return number(Code::inval_arg);
  Instance::Setup setup;
  setup.memory = Memory(args->alloc, args->realloc, args->free);
  setup.tell = args->on_control_fd_update != nullptr ? tell : nullptr;
  setup.callback = reinterpret_cast<Instance::Function>(args->on_control_fd_update);
  setup.context = private_ctx;
  setup.app_name = {args->app_name, strnlen(args->app_name, sizeof args->app_name)};
  if (setup.app_name.empty()) setup.app_name = MEMIF_DEFAULT_APP_NAME;
  setup.requests = args->connection_request_timer;
  setup.interrupt_results = generation.interrupt_results;
  if (const Code code = Instance::create(socket.instance, setup); code != Code::success) return number(code);
  const Code code = guarded([&] {
    *sock = setup.memory.make<Socket>(socket);
    return Code::success;
  });
  if (code != Code::success) socket.instance->destroy();
  return number(code);
}

MEMIF_API int memif_delete_socket(memif_socket_handle_t* sock) {
  if (sock == nullptr || *sock == nullptr) return number(Code::inval_arg);
  Socket* const socket = socket_of(*sock);
  const Memory memory = socket->instance->memory();
  {
    const Instance::Turn turn(*socket->instance);
    if (socket->instance->connections() != 0) return number(Code::inval_arg);
    socket->instance->destroy();
  }
  memory.destroy(socket);
  *sock = nullptr;
  return number(Code::success);
}

MEMIF_API memif_socket_handle_t memif_get_socket_handle(memif_conn_handle_t conn) {
  return conn != nullptr ? static_cast<Connection*>(conn)->socket_handle() : nullptr;
}

MEMIF_API const char* memif_get_socket_path(memif_socket_handle_t sock) {
  return sock != nullptr ? socket_of(sock)->path : nullptr;
}

MEMIF_API const char* memif_get_socket_filename(memif_socket_handle_t sock) { return memif_get_socket_path(sock); }

MEMIF_API int memif_get_listener_fd(memif_socket_handle_t sock) {
  if (sock == nullptr) return -1;
  const Instance::Turn turn(*socket_of(sock)->instance);
  return socket_of(sock)->instance->context().listener_fd(socket_of(sock)->path);
}

MEMIF_API int memif_set_listener_fd(memif_socket_handle_t sock, int fd) {
  if (sock == nullptr || fd < 0) return number(Code::inval_arg);
  const Instance::Turn turn(*socket_of(sock)->instance);
  return number(guarded([&] { return adopt(*socket_of(sock), fd); }));
}

MEMIF_API int memif_set_connection_request_timer(memif_socket_handle_t sock, struct itimerspec timer) {
  return number(sock != nullptr ? socket_of(sock)->instance->set_request_timer(timer) : Code::inval_arg);
}

MEMIF_API int memif_control_fd_handler(void* ptr, memif_fd_event_type_t) {
  if (ptr == nullptr) return number(Code::inval_arg);
  Watched* const watched = static_cast<Watched*>(ptr);
  return watched->owner->handle(watched);
}

MEMIF_API int memif_poll_event(memif_socket_handle_t sock, int timeout) {
  return sock != nullptr ? socket_of(sock)->instance->poll(timeout) : number(Code::inval_arg);
}

MEMIF_API int memif_cancel_poll_event(memif_socket_handle_t sock) {
  return number(sock != nullptr ? socket_of(sock)->instance->cancel() : Code::inval_arg);
}

MEMIF_API int memif_create(memif_conn_handle_t* conn, memif_conn_args_t* args, memif_connection_update_t* on_connect,
                           memif_connection_update_t* on_disconnect, memif_on_interrupt_t* on_interrupt,
                           void* private_ctx) {
  if (conn == nullptr || args == nullptr || args->socket == nullptr) return number(Code::inval_arg);
  return number(guarded([&] {
    Arguments arguments = common_arguments(*args);
    arguments.socket = socket_of(args->socket)->path;
    arguments.socket_handle = args->socket;
    return Connection::create(conn, socket_of(args->socket)->instance, arguments,
                              {on_connect, on_disconnect, on_interrupt, private_ctx});
  }));
}

MEMIF_API int memif_request_connection(memif_conn_handle_t conn) {
  return number(conn != nullptr ? static_cast<Connection*>(conn)->request() : Code::noconn);
}

MEMIF_API void memif_register_external_region(memif_socket_handle_t sock, memif_add_external_region_t* ar,
                                              memif_get_external_region_addr_t* gr, memif_del_external_region_t* dr,
                                              memif_get_external_buffer_offset_t* go) {
  if (sock != nullptr) socket_of(sock)->instance->set_regions({ar, gr, dr, go});
}

}  // extern "C"
