// The process under attack: a context with the attacked interface and a second one, whose traffic is verified all the
// time by a well-behaved peer.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <memif/memif.hpp>

#include "attacks.hpp"

namespace memif::hostile {

std::string unique_socket(const char* what);
std::chrono::nanoseconds cpu_time();  // of this thread

// The second interface's peer, and both ends' data: a thread of its own. Every packet both ways is compared.
class Bystander {
 public:
  Bystander(Context& context, const std::string& socket);
  ~Bystander();

  bool connected() const { return interface_.connected(); }
  std::uint64_t verified() const { return verified_.load(); }
  std::uint64_t wrong() const { return wrong_.load(); }
  std::uint64_t disconnects() const { return interface_.info().disconnects; }
  // Of its thread, each with a sleep of a millisecond: a clock that stands still when this process does.
  std::uint64_t rounds() const { return rounds_.load(); }

 private:
  void run();
  void exchange(TxQueue& from, RxQueue& to);

  Interface& interface_;
  std::string socket_;
  std::uint32_t number_ = 0;
  std::array<Buffer, 32> out_, in_;
  std::atomic<std::uint64_t> verified_{0}, wrong_{0}, rounds_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Victim {
 public:
  Victim(Role role, Setup setup);
  ~Victim();

  // Before an attack: memory of the application's is as long as it should be.
  void prepare();

  // One turn of control and data thread: receives and reads every byte, allocates, writes and sends. Then waits for the
  // control channels, so long at most.
  void turn(std::chrono::milliseconds wait = std::chrono::milliseconds(0));
  // Turns until `done`; false after a long time.
  bool turn_until(const std::function<bool()>& done);
  // What part of the time goes on processor time while nothing is asked of it but to wait.
  double idle_load();

  // How much of `outcome` was seen so far; whether more than `before`, and for the right reason.
  std::uint64_t count(const Expected& expected) const;
  bool tells(const Expected& expected, std::uint64_t before) const;
  Reason last_reason(const Expected& expected) const;

  void connect() { interface_->connect(); }
  void hang_up() { interface_->disconnect(); }
  // No link, and no connection to the attacked socket that is neither up nor over.
  bool settled() const { return !interface_->connected() && handshakes() == 0; }

  const std::string& socket() const { return socket_; }
  Interface& interface() { return *interface_; }
  Bystander& bystander() { return *bystander_; }
  std::uint64_t good() const { return good_; }
  std::uint64_t evil() const { return evil_; }
  // Of all turns, in rounds of the bystander: more than this, and a call has waited for the peer.
  static constexpr std::uint64_t longest_allowed = 1000;
  std::uint64_t longest_turn() const { return longest_turn_; }
  std::uint64_t outside() const { return outside_; }  // buffers handed out that are not within a region

 private:
  std::uint64_t handshakes() const;
  void receive();
  void send();
  bool inside(const Buffer& buffer) const;

  Role role_;
  std::string socket_;
  Fd memory_;
  std::unique_ptr<Context> context_;
  Interface* interface_ = nullptr;
  std::unique_ptr<Bystander> bystander_;
  std::array<Buffer, 32> buffers_;
  std::vector<RegionInfo> regions_;
  std::uint64_t longest_turn_ = 0;
  std::uint64_t good_ = 0, evil_ = 0, outside_ = 0, checksum_ = 0;
};

}  // namespace memif::hostile
