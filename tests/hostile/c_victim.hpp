// The process under attack as a program of the C API sees itself: an interface, and a second one on a socket of its
// own, whose traffic is verified all the time. It is told less than one of the C++ API: of a link that ended it knows
// that, and the reason in words; of an attempt that ended, a slave the reason, and a master nothing. In generation 2.0
// it is told no reason.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "any_victim.hpp"
#include "attacks.hpp"
#include "c_end.hpp"

namespace memif::hostile {

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

  struct Region {
    std::uintptr_t begin;
    std::size_t size;
  };

  CVictim(Role role, Setup setup);

  void prepare();

  std::uint64_t count(const Expected& expected) const;
  bool tells(const Expected& expected, std::uint64_t before) const;
  Reason last_reason(const Expected& expected) const;

  void connect();
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
  bool inside(const memif_buffer_t& buffer);
  bool as_before(std::size_t descriptors) const;

  Role role_;
  std::string path_;
  CEnd end_;
  CBystander bystander_;
  mutable std::size_t descriptors_ = 0;  // before the first attack
  std::vector<Region> regions_;
  bool in_packet_ = false;  // the last buffer received has a next one
};

}  // namespace memif::hostile
