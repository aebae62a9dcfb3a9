// As calls.hpp, of generations 3 and 4.

MEMIF_API int memif_buffer_requeue(memif_conn_handle_t conn, memif_buffer_t* buf_a, memif_buffer_t* buf_b) {
  return number(requeue(conn, buf_a, buf_b));
}

MEMIF_API int memif_set_next_free_buffer(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* buf) {
  return number(set_next_free(conn, qid, buf));
}
