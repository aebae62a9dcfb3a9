// Functions whose text is the same in all generations, for the types of the generation whose libmemif.h precedes it,
// and its `generation`, the row of generation.hpp. Included by each, inside extern "C".

MEMIF_API uint16_t memif_get_version(void) { return memif::wire::version; }
MEMIF_API char* memif_strerror(int err_code) { return explain(err_code, generation.codes); }

MEMIF_API int memif_delete(memif_conn_handle_t* conn) {
  if (conn == nullptr) return number(Code::inval_arg);
  return number(*conn != nullptr ? Connection::remove(conn) : Code::noconn);
}

MEMIF_API int memif_get_details(memif_conn_handle_t conn, memif_details_t* md, char* buf, ssize_t buflen) {
  return number(get_details(conn, md, buf, buflen));
}

MEMIF_API int memif_get_queue_efd(memif_conn_handle_t conn, uint16_t qid, int* fd) {
  if (conn == nullptr) return number(Code::noconn);
  return number(fd != nullptr ? static_cast<Connection*>(conn)->event_fd(qid, fd) : Code::inval_arg);
}

MEMIF_API MEMIF_READS_ANY_ENUM int memif_set_rx_mode(memif_conn_handle_t conn, memif_rx_mode_t rx_mode, uint16_t qid) {
  return number(set_rx_mode(conn, static_cast<unsigned>(rx_mode), qid));
}

MEMIF_DATA_API int memif_rx_burst(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                  uint16_t* rx) {
  return number(rx_burst<generation.received_flag>(conn, qid, bufs, count, rx));
}

MEMIF_DATA_API int memif_refill_queue(memif_conn_handle_t conn, uint16_t qid, uint16_t count, uint16_t headroom) {
  return number(refill(conn, qid, count, headroom));
}

MEMIF_DATA_API int memif_buffer_alloc(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                      uint16_t* count_out, uint16_t size) {
  return number(buffer_alloc(conn, qid, bufs, count, count_out, size));
}

MEMIF_API int memif_buffer_enq_tx(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                  uint16_t* count_out) {
  return number(enqueue_tx<generation.received_flag>(conn, qid, bufs, count, count_out));
}

MEMIF_DATA_API int memif_tx_burst(memif_conn_handle_t conn, uint16_t qid, memif_buffer_t* bufs, uint16_t count,
                                  uint16_t* tx) {
  return number(tx_burst(conn, qid, bufs, count, tx, generation.surplus));
}
