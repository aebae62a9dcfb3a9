// A thread scribbles over rings, descriptors, indices and flags of a live link while bursts run both ways. The link
// goes down and comes back, many times; nothing else happens. MEMIF_ATTACK_SECONDS says for how long, each role.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <mutex>
#include <random>
#include <sys/mman.h>
#include <thread>

#include "victim.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

std::chrono::seconds duration() {
  const char* const text = std::getenv("MEMIF_ATTACK_SECONDS");
  return std::chrono::seconds(text != nullptr ? std::atoi(text) : 2);
}

// The rings of one link, mapped once more: memory that stays when the link goes.
class Rings {
 public:
  explicit Rings(const InterfaceInfo& info, Role peer)
      : size_(info.regions.at(0).size),
        base_(static_cast<std::byte*>(
            ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, info.regions.at(0).fd, 0))) {
    if (base_ == MAP_FAILED) give_up("mmap");
    const bool client = peer == Role::client;
    s2m = RawRing(base_ + (client ? info.tx : info.rx).at(0).offset);
    m2s = RawRing(base_ + (client ? info.rx : info.tx).at(0).offset);
  }
  ~Rings() { ::munmap(base_, size_); }
  Rings(const Rings&) = delete;
  Rings& operator=(const Rings&) = delete;

  RawRing s2m, m2s;

 private:
  std::size_t size_;
  std::byte* base_;
};

// Writes what a peer of the victim's may write.
class Scribbler {
 public:
  explicit Scribbler(Role victim) : victim_(victim), thread_([this] { run(); }) {}
  ~Scribbler() { stop(); }

  // From now on these rings, or none.
  void attack(std::shared_ptr<Rings> rings) {
    const std::lock_guard lock(mutex_);
    rings_ = std::move(rings);
  }
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  std::uint64_t writes() const { return writes_; }

 private:
  static constexpr auto between_index_strikes = 3ms;  // else no link would live long enough to see anything else

  void run() {
    Clock::time_point next_strike = Clock::now();
    while (!stop_) {
      const std::shared_ptr<Rings> rings = present();
      if (rings == nullptr) {
        std::this_thread::sleep_for(100us);
        continue;
      }
      for (int i = 0; i < 64; ++i) scribble(random_() % 2 != 0 ? rings->s2m : rings->m2s);
      writes_ += 64;
      if (Clock::now() >= next_strike) {
        strike(random_() % 2 != 0 ? rings->s2m : rings->m2s);
        next_strike = Clock::now() + between_index_strikes;
      }
      std::this_thread::yield();
    }
  }

  std::shared_ptr<Rings> present() {
    const std::lock_guard lock(mutex_);
    return rings_;
  }

  std::uint32_t any() { return static_cast<std::uint32_t>(random_()) << 8 ^ static_cast<std::uint32_t>(random_()); }
  // Mostly nearly right, sometimes anything.
  std::uint32_t number(std::uint32_t usual) { return random_() % 8 == 0 ? any() : any() % usual; }

  void scribble(const RawRing& ring) {
    volatile Slot& slot = ring.slot(static_cast<std::uint16_t>(any()));
    switch (random_() % 5) {
      case 0:
        slot.flags = static_cast<std::uint16_t>(number(2));
        break;
      case 1:
        slot.region = static_cast<std::uint16_t>(number(2));
        break;
      case 2:
        slot.length = number(2 * buffer_size);
        break;
      case 3:
        slot.offset = number(1 << 20);
        break;
      default:
        ring.flags() = static_cast<std::uint16_t>(any());
    }
  }

  void strike(const RawRing& ring) {
    volatile std::uint16_t& index = victim_ == Role::server ? ring.head() : ring.tail();
    switch (random_() % 4) {
      case 0:
        index = static_cast<std::uint16_t>(any());
        break;
      case 1:
        index = static_cast<std::uint16_t>(index + any() % (ring_size + 2));
        break;
      case 2:
        index = static_cast<std::uint16_t>(index - any() % ring_size);
        break;
      default:
        ring.cookie() = any();
    }
  }

  Role victim_;
  std::minstd_rand random_{7};
  std::mutex mutex_;
  std::shared_ptr<Rings> rings_;
  std::atomic<std::uint64_t> writes_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// The other end of the attacked link: sends and receives as fast as it can, and lets the scribbler have the memory.
class Peer {
 public:
  Peer(Role victim, const std::string& socket, Scribbler& scribbler)
      : role_(victim == Role::server ? Role::client : Role::server), scribbler_(scribbler) {
    InterfaceConfig config;
    config.socket = socket;
    config.id = good_id;
    config.role = role_;
    config.secret = role_ == Role::client ? good_secret : "";
    config.ring_size = ring_size;
    config.reconnect = 1ms;
    config.on_connected = [this](Interface& port) {
      if (attacking_) scribbler_.attack(std::make_shared<Rings>(port.info(), role_));
    };
    config.on_disconnected = [this](Interface&, const Reason&) { scribbler_.attack(nullptr); };
    port_ = &context_.add(std::move(config));
    thread_ = std::thread([this] { run(); });
  }
  ~Peer() {
    stop_ = true;
    thread_.join();
  }

  void behave() { attacking_ = false; }

 private:
  void run() {
    while (!stop_) {
      context_.poll(0ms);
      port_->rx(0).receive(buffers_);
      for (const std::uint32_t size : {64u, 1500u, 5000u}) {
        TxBurst burst = port_->tx(0).allocate(buffers_, size, 4);
        for (const Packet packet : burst) packet.copy_from(std::as_bytes(std::span("GOOD", 4)));
        burst.send();
      }
      std::this_thread::yield();
    }
  }

  Role role_;
  Scribbler& scribbler_;
  Context context_{{.publish = true}};  // then a server keeps the descriptor of the rings
  Interface* port_ = nullptr;
  std::array<Buffer, 32> buffers_;
  std::atomic<bool> attacking_{true}, stop_{false};
  std::thread thread_;
};

class LiveAttackThreads : public testing::TestWithParam<Role> {
 protected:
  // One turn, however short the link: no call may take long, and every end has its reason.
  void turn() {
    if (GetParam() == Role::client && !victim_.interface().connected()) victim_.interface().connect();
    victim_.turn();
    const InterfaceInfo info = victim_.interface().info();
    if (info.disconnects == ends_) return;
    ends_ = info.disconnects;
    broken_ += info.last_reason && info.last_reason->code == Errc::broken_ring ? 1 : 0;
  }

  Victim victim_{GetParam(), Setup::usual};
  std::uint64_t ends_ = 0, broken_ = 0;
};

TEST_P(LiveAttackThreads, EndsTheLinkTimeAndAgainAndNothingElse) {
  Scribbler scribbler(GetParam());
  Peer peer(GetParam(), victim_.socket(), scribbler);
  ASSERT_TRUE(victim_.turn_until([&] { return victim_.bystander().connected(); }));
  const std::uint64_t verified = victim_.bystander().verified();

  for (const auto end = Clock::now() + duration(); Clock::now() < end;) turn();
  // A peer that is busy soon overwrites an index that was struck, and it depends on the scheduler how many are seen.
  std::uint64_t patience = victim_.bystander().rounds() + 20'000;
  while (broken_ < 3 && victim_.bystander().rounds() < patience) turn();
  peer.behave();
  scribbler.stop();
  const std::uint64_t verified_meanwhile = victim_.bystander().verified() - verified;

  // And a link that nobody attacks is as good as ever.
  victim_.interface().disconnect();
  const std::uint64_t enough = victim_.good() + 1000;
  patience = victim_.bystander().rounds() + 20'000;
  while (victim_.good() < enough && victim_.bystander().rounds() < patience) turn();
  EXPECT_GE(victim_.good(), enough);

  EXPECT_GT(scribbler.writes(), 1000u);
  EXPECT_GE(broken_, 3u);
  EXPECT_GE(victim_.interface().info().connects, 3u);
  EXPECT_GT(verified_meanwhile, 0u);
  EXPECT_EQ(victim_.bystander().wrong(), 0u);
  EXPECT_EQ(victim_.bystander().disconnects(), 0u);
  EXPECT_EQ(victim_.outside(), 0u);
  EXPECT_LE(victim_.longest_turn(), Victim::longest_allowed) << "a call waited for the peer";
  std::printf("%llu writes, %llu links, %llu of them ended as broken, %llu packets verified beside them\n",
              static_cast<unsigned long long>(scribbler.writes()),
              static_cast<unsigned long long>(victim_.interface().info().connects),
              static_cast<unsigned long long>(broken_), static_cast<unsigned long long>(verified_meanwhile));
}

INSTANTIATE_TEST_SUITE_P(Roles, LiveAttackThreads, testing::Values(Role::server, Role::client),
                         [](const auto& role) { return role.param == Role::server ? "OnServer" : "OnClient"; });

}  // namespace
}  // namespace memif::hostile
