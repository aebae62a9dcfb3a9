// The process under attack as a program of the C API, generation 4, sees itself: an interface, and a second one on a
// socket of its own, whose traffic is verified all the time. It is told less than one of the C++ API: of a link that
// ended it knows that, and the reason in words; of an attempt that ended, a slave the reason, and a master nothing.
#pragma once

#include <libmemif.h>
#include <string>
#include <thread>
#include <vector>

#include "any_victim.hpp"
#include "attacks.hpp"

namespace memif::hostile {

// A socket with one interface on it.
class CEnd {
 public:
  CEnd(const std::string& path, const memif_conn_args_t& args, bool interrupts);
  ~CEnd();
  CEnd(const CEnd&) = delete;
  CEnd& operator=(const CEnd&) = delete;

  void poll(std::chrono::milliseconds wait) { memif_poll_event(socket_, static_cast<int>(wait.count())); }
  void connect() { memif_request_connection(connection_); }
  void renew();  // the interface is deleted, and made anew

  memif_conn_handle_t connection() const { return connection_; }
  // As the callbacks tell. One too many of either, and this is never right again.
  bool up() const { return connects_ > disconnects_; }
  std::uint64_t connects() const { return connects_; }
  std::uint64_t disconnects() const { return disconnects_; }
  std::uint64_t stray_interrupts() const { return stray_interrupts_; }  // without a link

 private:
  void create();
  static int on_connect(memif_conn_handle_t connection, void* self);
  static int on_disconnect(memif_conn_handle_t connection, void* self);
  static int on_interrupt(memif_conn_handle_t connection, void* self, std::uint16_t queue);

  memif_socket_handle_t socket_ = nullptr;
  memif_conn_args_t args_;
  memif_on_interrupt_t* on_interrupt_;
  memif_conn_handle_t connection_ = nullptr;
  std::atomic<std::uint64_t> connects_{0}, disconnects_{0}, stray_interrupts_{0};
};

// As Bystander.
class CBystander : public VerifiedTraffic {
 public:
  CBystander();
  ~CBystander();

  void poll() { here_.poll(std::chrono::milliseconds(0)); }
  bool connected() const { return here_.up() && there_.up(); }
  std::uint64_t disconnects() const { return here_.disconnects(); }

 private:
  void run();
  void exchange(const CEnd& from, const CEnd& to);

  std::string path_;
  CEnd here_, there_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class CVictim : public AnyVictim {
 public:
  static constexpr std::chrono::milliseconds handshake_deadline{5000};  // the library's: there is no setting

  CVictim(Role role, Setup setup);

  void prepare();

  std::uint64_t count(const Expected& expected) const;
  bool tells(const Expected& expected, std::uint64_t before) const;
  Reason last_reason(const Expected& expected) const;

  void connect() { end_.connect(); }
  void hang_up() { end_.renew(); }
  bool connected() const { return end_.up(); }
  std::uint64_t connects() const { return end_.connects(); }
  bool settled() const;

  const std::string& socket() const { return path_; }
  const CBystander& bystander() const { return bystander_; }

 private:
  void one_turn(std::chrono::milliseconds wait) override;
  void idle_turn() override;
  const VerifiedTraffic& traffic() const override { return bystander_; }
  void receive();
  void send();
  void called(int code);
  void learn_regions();
  bool inside(const memif_buffer_t& buffer) const;

  Role role_;
  std::string path_;
  CEnd end_;
  CBystander bystander_;
  std::size_t descriptors_ = 0;  // before the first attack
  std::vector<memif_region_details_t> regions_;
  bool in_packet_ = false;  // the last buffer received has a next one
};

}  // namespace memif::hostile
