// The process under attack: a context with the attacked interface and a second one, whose traffic is verified all the
// time by a well-behaved peer.
#pragma once

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include <memif/memif.hpp>

#include "any_victim.hpp"
#include "attacks.hpp"

namespace memif::hostile {

// The second interface's peer, and both ends' data: a thread of its own.
class Bystander : public VerifiedTraffic {
 public:
  // With a pool, the victim's end is a client of it; else a server.
  Bystander(Context& context, const std::string& socket, std::shared_ptr<Pool> pool);
  ~Bystander();

  bool connected() const { return interface_.connected(); }
  std::uint64_t disconnects() const { return interface_.info().disconnects; }

 private:
  void run();
  void exchange(TxQueue& from, RxQueue& to);

  Interface& interface_;
  std::string socket_;
  const Role peer_role_;
  std::array<Buffer, 32> out_, in_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class Victim : public AnyVictim {
 public:
  static constexpr std::chrono::milliseconds handshake_deadline{1000};  // with Setup::second_timeout

  Victim(Role role, Setup setup, std::shared_ptr<Pool> pool = nullptr);
  ~Victim() override;

  // Before an attack: memory of the application's is as long as it should be.
  void prepare();

  // How much of `outcome` was seen so far; whether more than `before`, and for the right reason.
  std::uint64_t count(const Expected& expected) const;
  bool tells(const Expected& expected, std::uint64_t before) const;
  Reason last_reason(const Expected& expected) const;

  void connect() { interface_->connect(); }
  void hang_up() { interface_->disconnect(); }
  bool connected() const { return interface_->connected(); }
  std::uint64_t connects() const { return interface_->info().connects; }
  // No link, and no connection to the attacked socket that is neither up nor over.
  bool settled() const { return !connected() && handshakes() == 0; }

  const std::string& socket() const { return socket_; }
  Interface& interface() { return *interface_; }
  const Bystander& bystander() const { return *bystander_; }

 private:
  void one_turn(std::chrono::milliseconds wait) override;
  void idle_turn() override;
  const VerifiedTraffic& traffic() const override { return *bystander_; }
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
};

// A client whose buffers are a pool's, with the bystander's interface as another client of it: the attacker has its
// memory as well.
class PooledVictim : public Victim {
 public:
  PooledVictim(Role role, Setup setup) : PooledVictim(role, setup, make_pool()) {}

  // Buffers that are neither free nor those of one link of each interface.
  std::ptrdiff_t missing() const;

 private:
  PooledVictim(Role role, Setup setup, std::shared_ptr<Pool> pool)
      : Victim(role, setup, pool), pool_(std::move(pool)) {}
  static std::shared_ptr<Pool> make_pool();

  const std::shared_ptr<Pool> pool_;
};

}  // namespace memif::hostile
