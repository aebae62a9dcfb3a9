// As calls.hpp, of generations 2, 2.1 and 3, which have one instance for the whole process: `global`.

MEMIF_API int memif_cleanup(void) {
  Instance* const instance = global.exchange(nullptr);
  if (instance == nullptr) return number(Code::inval_arg);
  instance->destroy();
  return number(Code::success);
}

MEMIF_API int memif_control_fd_handler(int fd, uint8_t) { return number(handle_event(global, fd)); }
MEMIF_API int memif_poll_event(int timeout) { return number(poll(global, timeout)); }
MEMIF_API int memif_cancel_poll_event(void) { return number(cancel(global)); }
