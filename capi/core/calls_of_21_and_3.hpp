// As calls.hpp, of generations 2.1 and 3.

MEMIF_API int memif_init(memif_control_fd_update_t* on_control_fd_update, char* app_name, memif_alloc_t* memif_alloc,
                         memif_realloc_t* memif_realloc, memif_free_t* memif_free) {
  const Memory memory(memif_alloc, memif_realloc, memif_free);
  return number(init_global(make_setup(generation, on_control_fd_update, app_name, memory)));
}

MEMIF_API int memif_set_connection_request_timer(struct itimerspec timer) {
  return number(set_request_timer(global, timer));
}

MEMIF_API int memif_request_connection(memif_conn_handle_t conn) {
  auto* const connection = static_cast<Connection*>(conn);
  if (connection == nullptr) return number(Code::noconn);
  return number(connection->client() ? connection->request() : Code::inval_arg);
}

MEMIF_API void memif_register_external_region(memif_add_external_region_t* ar, memif_get_external_region_addr_t* gr,
                                              memif_del_external_region_t* dr, memif_get_external_buffer_offset_t* go) {
  register_external_region(global, {ar, gr, dr, go});
}
