// The process under attack as a program of the C API, generation 4, sees itself: an interface, and a second one on a
// socket of its own, whose traffic is verified all the time. It is told less than one of the C++ API: of a link that
// ended it knows that, and the reason in words.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <libmemif.h>
#include <string>
#include <thread>
#include <vector>

#include "attacks.hpp"

namespace memif::hostile {

// A socket with one interface on it.
class CEnd {
 public:
  CEnd(const std::string& path, const memif_conn_args_t& args);
  ~CEnd();
  CEnd(const CEnd&) = delete;
  CEnd& operator=(const CEnd&) = delete;

  void poll(int milliseconds) { memif_poll_event(socket_, milliseconds); }
  void connect() { memif_request_connection(connection_); }
  void renew();  // the interface is deleted, and made anew

  memif_conn_handle_t connection() const { return connection_; }
  bool up() const { return up_; }
  std::uint64_t disconnects() const { return disconnects_; }

 private:
  void create();
  static int on_connect(memif_conn_handle_t connection, void* self);
  static int on_disconnect(memif_conn_handle_t connection, void* self);

  memif_socket_handle_t socket_ = nullptr;
  memif_conn_args_t args_;
  memif_conn_handle_t connection_ = nullptr;
  std::atomic<bool> up_{false};
  std::atomic<std::uint64_t> disconnects_{0};
};

// As Bystander.
class CBystander {
 public:
  CBystander();
  ~CBystander();

  void poll(int milliseconds) { here_.poll(milliseconds); }
  bool connected() const { return here_.up() && there_.up(); }
  std::uint64_t verified() const { return verified_.load(); }
  std::uint64_t wrong() const { return wrong_.load(); }
  std::uint64_t disconnects() const { return here_.disconnects(); }

 private:
  void run();
  void exchange(const CEnd& from, const CEnd& to);

  std::string path_;
  CEnd here_, there_;
  std::uint32_t number_ = 0;
  std::atomic<std::uint64_t> verified_{0}, wrong_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class CVictim {
 public:
  CVictim(Role role, Setup setup);

  void prepare();
  void turn();
  bool turn_until(const std::function<bool()>& done);
  double idle_load();

  std::uint64_t count(const Expected& expected) const;
  bool tells(const Expected& expected, std::uint64_t before) const;
  Reason last_reason(const Expected& expected) const;

  void connect() { end_.connect(); }
  void hang_up() { end_.renew(); }
  bool settled() const;

  const std::string& socket() const { return path_; }
  CBystander& bystander() { return bystander_; }
  std::uint64_t good() const { return good_; }
  std::uint64_t evil() const { return evil_; }
  std::uint64_t outside() const { return outside_; }

 private:
  void receive();
  void send();
  void learn_regions();
  bool inside(const memif_buffer_t& buffer) const;

  std::string path_;
  CEnd end_;
  CBystander bystander_;
  std::size_t descriptors_ = 0;  // before the first attack
  std::vector<memif_region_details_t> regions_;
  bool in_packet_ = false;  // the last buffer received has a next one
  std::uint64_t good_ = 0, evil_ = 0, outside_ = 0, checksum_ = 0;
};

}  // namespace memif::hostile
