// Generation 2 of the C API: names, structures and callbacks; what they do is in capi/common.
#include "libmemif.h"

#include <atomic>
#include <cstring>

#include "api.hpp"
#include "connection.hpp"
#include "details.hpp"
#include "legacy.hpp"
#include "rx_mode.hpp"
#include "send.hpp"

namespace {

using namespace memif::capi;

// Cancelling happens in signal handlers.
std::atomic<Instance*> global{nullptr};

int number(Code code) { return code_v2(code); }
int number(int code) { return code_v2(static_cast<Code>(code)); }

int tell(const Instance& instance, int fd, unsigned events, void*) {
  return reinterpret_cast<memif_control_fd_update_t*>(instance.callback())(fd, static_cast<uint8_t>(events));
}

}  // namespace

extern "C" {

#include "calls.hpp"

MEMIF_API uint16_t memif_get_version(void) { return memif::wire::version; }
MEMIF_API char* memif_strerror(int err_code) { return explain_v2(err_code); }

MEMIF_API int memif_init(memif_control_fd_update_t* on_control_fd_update, char* app_name, memif_alloc_t* memif_alloc,
                         memif_free_t* memif_free) {
  if (global != nullptr) return number(Code::already);
  Instance::Setup setup;
  setup.memory = Memory(memif_alloc, nullptr, memif_free);
  setup.tell = on_control_fd_update != nullptr ? tell : nullptr;
  setup.callback = reinterpret_cast<Instance::Function>(on_control_fd_update);
  setup.app_name = name_or_default(app_name, MEMIF_DEFAULT_APP_NAME);
  setup.requests = every_two_seconds;
  setup.interrupt_results = false;
  Instance* made = nullptr;
  const Code code = Instance::create(made, setup);
  if (code == Code::success) global = made;
  return number(code);
}

MEMIF_API int memif_cleanup() {
  Instance* const instance = global.exchange(nullptr);
  if (instance == nullptr) return number(Code::inval_arg);
  instance->destroy();
  return number(Code::success);
}

MEMIF_API int memif_control_fd_handler(int fd, uint8_t) { return number(handle_event(global, fd)); }
MEMIF_API int memif_poll_event(int timeout) { return number(poll(global, timeout)); }
MEMIF_API int memif_cancel_poll_event() { return number(cancel(global)); }

MEMIF_API int memif_create(memif_conn_handle_t* conn, memif_conn_args_t* args, memif_connection_update_t* on_connect,
                           memif_connection_update_t* on_disconnect, memif_interrupt_t* on_interrupt,
                           void* private_ctx) {
  if (conn == nullptr || args == nullptr) return number(Code::inval_arg);
  return number(guarded([&] {
    Arguments arguments = common_arguments(*args);
    const auto* const path = reinterpret_cast<const char*>(args->socket_filename);
    arguments.socket = path != nullptr ? path : MEMIF_DEFAULT_SOCKET_PATH;
    return Connection::create(conn, global, arguments, {on_connect, on_disconnect, on_interrupt, private_ctx});
  }));
}

MEMIF_DATA_API int memif_refill_queue(memif_conn_handle_t conn, uint16_t qid, uint16_t count) {
  return number(refill(conn, qid, count, 0));
}

MEMIF_DATA_API int memif_tx_burst(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                  uint16_t* tx) {
  return number(tx_burst(conn, qid, bufs, count, tx, Surplus::ignored));
}

}  // extern "C"
