// As calls.hpp, of generations 2 and 2.1, where an interface names its socket by a path.

MEMIF_API int memif_create(memif_conn_handle_t* conn, memif_conn_args_t* args, memif_connection_update_t* on_connect,
                           memif_connection_update_t* on_disconnect, memif_interrupt_t* on_interrupt,
                           void* private_ctx) {
  if (conn == nullptr || args == nullptr) return number(Code::inval_arg);
  return number(guarded([&] {
    Arguments arguments = common_arguments(*args);
    const auto* const path = reinterpret_cast<const char*>(args->socket_filename);
    arguments.socket = path != nullptr ? path : MEMIF_DEFAULT_SOCKET_PATH;
    arguments.posts_untouched = generation.posts_untouched;
    return Connection::create(conn, global, arguments, {on_connect, on_disconnect, on_interrupt, private_ctx});
  }));
}
