// An interface as a program of the C API has it, of the generation GENERATION: ten times its number. What differs
// between the generations is here and in c_end.cpp; the rest of the victim is the same source for all.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <libmemif.h>
#include <string>

namespace memif::hostile {

// An interface's details have its regions, and the reason why a link ended or could not be.
inline constexpr bool details_tell_more = GENERATION >= 21;
// Each end is polled by its own thread; else the process has one instance, and one thread polls for all.
inline constexpr bool polls_alone = GENERATION >= 30;

// A socket with one interface on it; from generation 3 on, with an instance of their own. A slave that has no link
// tries again when it is told to; in generation 2.0, where that cannot be had, every two seconds too.
class CEnd {
 public:
  CEnd(const std::string& path, const memif_conn_args_t& args, bool interrupts);
  ~CEnd();
  CEnd(const CEnd&) = delete;
  CEnd& operator=(const CEnd&) = delete;

  void poll(std::chrono::milliseconds wait);
  void connect();  // in generation 2.0 as renew()
  void renew();    // the interface is deleted, and made anew

  memif_conn_handle_t connection() const { return connection_; }
  // As the callbacks tell. One too many of either, and this is never right again.
  bool up() const { return connects_ > disconnects_; }
  std::uint64_t connects() const { return connects_; }
  std::uint64_t disconnects() const { return disconnects_; }
  std::uint64_t stray_interrupts() const { return stray_interrupts_; }  // without a link

 private:
  void open(const std::string& path);
  void close();
  void create();
  static int on_connect(memif_conn_handle_t connection, void* self);
  static int on_disconnect(memif_conn_handle_t connection, void* self);
  static int on_interrupt(memif_conn_handle_t connection, void* self, std::uint16_t queue);

#if GENERATION < 30
  std::string path_;
#else
  memif_socket_handle_t socket_ = nullptr;
#endif
#if GENERATION == 30
  memif_per_thread_main_handle_t instance_ = nullptr;
#endif
  memif_conn_args_t args_;
  decltype(&on_interrupt) on_interrupt_;
  memif_conn_handle_t connection_ = nullptr;
  std::atomic<std::uint64_t> connects_{0}, disconnects_{0}, stray_interrupts_{0};
};

}  // namespace memif::hostile
