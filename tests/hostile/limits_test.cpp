// What a peer could make a victim pay for with its life: memory that it is charged for, pages that vanish where nobody
// may be told.
#include "limits.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <memory>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raw_peer.hpp"

namespace memif::hostile {
namespace {

using namespace message;

// One page after the other of the region's, none of which the attacker has touched.
void send_all_pages(RawClient& c) {
  for (std::uint32_t offset = 1 << 16; offset < c.size; offset += 4096) {
    until("room in the ring", [&c] { return plus(c.s2m.head(), -c.s2m.tail()) < ring_size; });
    volatile Slot& slot = c.s2m.slot(c.s2m.head());
    slot.flags = 0;
    slot.region = 0;
    slot.length = 60;
    slot.offset = offset;
    fence();
    c.s2m.head() = plus(c.s2m.head(), 1);
  }
  until("the victim takes all packets", [&c] { return c.s2m.head() == c.s2m.tail(); });
}

std::uint64_t allocated_bytes(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) give_up("fstat");
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

void shrink(int fd, std::uint64_t size) {
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) give_up("ftruncate");
}

// --- Memory

class InAMemoryGroup : public testing::Test {
 protected:
  void SetUp() override {
    if (!group_.made()) GTEST_SKIP() << "no memory cgroup can be made here";
  }
  LimitedVictim victim() const {
    return {.config = server(32 * MiB), .confine = [this] { return group_.enter(); }};
  }
  const MemoryGroup group_{64 * MiB};
};

TEST_F(InAMemoryGroup, HolesOfASparseFileAreRefusedBeyondTheLimit) {
  bool possible = false;
  const Report report = outlive(
      victim(),
      [](const std::string& socket) {
        RawClient c(socket);
        c.size = 256 * MiB;
        c.admit();
        c.make_memory();
        c.send(AddRegion{0, c.size}, {c.memory});
        if (std::holds_alternative<Disconnect>(c.receive().message)) return;
        for (const bool to_server : {true, false}) {
          c.send(c.ring(to_server), {c.event()});
          c.expect<Ack>();
        }
        c.send(Connect{"hostile"});
        c.expect<Connected>();
        send_all_pages(c);
      },
      possible);
  if (!possible) GTEST_SKIP() << "this process may not enter a cgroup";
  EXPECT_EQ(report.connects, 0u);
  expect_reason(report, Errc::too_much_memory, "the limit is 33554432 (max_peer_memory)");
}

TEST_F(InAMemoryGroup, HolesUpToTheLimitArePaidFor) {
  bool possible = false;
  const Report report = outlive(
      victim(),
      [](const std::string& socket) {
        RawClient c(socket);
        c.size = 32 * MiB;
        c.connect();
        send_all_pages(c);
      },
      possible);
  if (!possible) GTEST_SKIP() << "this process may not enter a cgroup";
  EXPECT_EQ(report.connects, 1u);
  EXPECT_EQ(report.packets, (32 * MiB - (1 << 16)) / 4096);
}

// --- Locked memory

constexpr std::uint64_t sparse = 256 * MiB;

bool lock_all_memory() { return ::mlockall(MCL_CURRENT | MCL_FUTURE) == 0; }

TEST(LockedMemory, AnnouncedIsNotAllocated) {
  bool possible = false;
  const Report report = outlive(
      {.config = server(2 * sparse), .confine = lock_all_memory},
      [](const std::string& socket) {
        RawClient c(socket);
        c.size = sparse;
        c.connect();
        if (allocated_bytes(c.memory) > 2 * MiB) give_up("the victim has allocated the file");
        c.stream(100);
      },
      possible);
  if (!possible) GTEST_SKIP() << "this process may not lock its memory";
  EXPECT_EQ(report.packets, 100u);
  EXPECT_LT(report.longest_resident, sparse / 2);
}

TEST(LockedMemory, ThatVanishesIsNotReplacedByAllocatedZeros) {
  bool possible = false;
  const Report report = outlive(
      {.config = server(2 * sparse), .confine = lock_all_memory},
      [](const std::string& socket) {
        RawClient c(socket);
        c.size = sparse;
        c.seal = false;
        c.connect();
        c.stream(10);
        shrink(c.memory, 0);
        if (!c.hung_up()) give_up("the victim goes on");
      },
      possible);
  if (!possible) GTEST_SKIP() << "this process may not lock its memory";
  expect_reason(report, Errc::truncated_memory, "shrank");
  EXPECT_LT(report.longest_resident, sparse / 2);
}

// --- Blocked signals, memory that the application maps

void truncate_under_traffic(const std::string& socket) {
  RawClient c(socket);
  c.seal = false;
  c.connect();
  c.stream(100);
  shrink(c.memory, 0);
  if (!c.hung_up()) give_up("the victim goes on");
}

TEST(BlockedSignals, DoNotKillAThreadWhoseMemoryVanishes) {
  bool possible = false;
  const Report report =
      outlive({.config = server(32 * MiB), .signals_blocked = true}, truncate_under_traffic, possible);
  ASSERT_TRUE(possible);
  EXPECT_EQ(report.packets, 100u);
  expect_reason(report, Errc::truncated_memory, "shrank");
}

TEST(BlockedSignals, OfTheControlThreadDoNotKillIt) {
  const auto block = [] {
    sigset_t all;
    sigfillset(&all);
    return ::sigprocmask(SIG_SETMASK, &all, nullptr) == 0;
  };
  bool possible = false;
  const Report report = outlive(
      {.config = server(32 * MiB), .confine = block},
      [](const std::string& socket) {
        RawClient c(socket);
        c.seal = false;
        c.rings();
        shrink(c.memory, 0);
        c.send(Connect{"x"});
        c.expect<Disconnect>();
      },
      possible);
  ASSERT_TRUE(possible);
  expect_reason(report, Errc::truncated_memory, "shrank");
}

std::shared_ptr<MemoryHooks> mapping_hooks() {
  auto hooks = std::make_shared<MemoryHooks>();
  hooks->map = [](std::uint64_t bytes, int fd) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at != MAP_FAILED ? static_cast<std::byte*>(at) : nullptr;
  };
  hooks->release = [](std::byte* data, std::uint64_t bytes, int fd) {
    ::munmap(data, bytes);
    ::close(fd);
  };
  return hooks;
}

// Region 1, which the victim's application maps, has rings and packets.
TEST(ApplicationsMapping, OfAPeersFileMayVanish) {
  LimitedVictim victim{.config = server(32 * MiB)};
  victim.config.memory_hooks = mapping_hooks();
  bool possible = false;
  const Report report = outlive(
      victim,
      [](const std::string& socket) {
        RawClient c(socket);
        c.seal = false;
        c.admit();
        c.make_memory();
        c.send(AddRegion{0, MiB}, {make_memfd(c, MiB)});
        c.expect<Ack>();
        c.send(AddRegion{1, c.size}, {c.memory});
        c.expect<Ack>();
        for (const bool to_server : {true, false}) {
          AddRing ring = c.ring(to_server);
          ring.region = 1;
          c.send(ring, {c.event()});
          c.expect<Ack>();
        }
        c.send(Connect{"hostile"});
        c.expect<Connected>();
        volatile Slot& slot = c.s2m.slot(0);
        slot.region = 1;
        slot.length = 64;
        slot.offset = 1 << 16;
        fence();
        c.s2m.head() = 1;
        until("the victim takes it", [&c] { return c.s2m.tail() == 1; });
        shrink(c.memory, 0);
        if (!c.hung_up()) give_up("the victim goes on");
      },
      possible);
  ASSERT_TRUE(possible);
  EXPECT_EQ(report.packets, 1u);
  expect_reason(report, Errc::truncated_memory, "shrank");
}

TEST(ApplicationsMapping, ThatCannotBeGuardedIsRefused) {
  LimitedVictim victim{.config = server(32 * MiB)};
  victim.config.memory_hooks = mapping_hooks();
  victim.config.memory_hooks = std::make_shared<MemoryHooks>(MemoryHooks{
      .map = [map = victim.config.memory_hooks->map](std::uint64_t bytes, int fd) { return map(bytes, fd) + 64; }});
  bool possible = false;
  const Report report = outlive(
      victim,
      [](const std::string& socket) {
        RawClient c(socket);
        c.region();
        c.send(AddRegion{1, MiB}, {make_memfd(c, MiB)});
        c.expect<Disconnect>();
      },
      possible);
  ASSERT_TRUE(possible);
  expect_reason(report, Errc::unsealed_memory, "not mapped at the start of a page");
}

// What a client's application provides, its server gets hold of.
TEST(ApplicationsMemory, MayVanishByTheServersHand) {
  static int file = -1;
  file = ::memfd_create("provided", MFD_CLOEXEC);
  LimitedVictim victim;
  victim.config.id = good_id;
  victim.config.ring_size = ring_size;
  victim.config.buffer_size = buffer_size;
  victim.config.reconnect = std::chrono::milliseconds(10);
  victim.config.memory_hooks = std::make_shared<MemoryHooks>(MemoryHooks{.provide = [](std::uint64_t bytes) {
    if (::ftruncate(file, static_cast<off_t>(bytes)) != 0) return MemoryHooks::Mapped{};
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return MemoryHooks::Mapped{static_cast<std::byte*>(at), file};
  }});
  bool possible = false;
  const Report report = outlive(
      victim,
      [](const std::string& socket) {
        RawServer s(socket);
        s.listen();
        s.connect();
        shrink(s.regions.at(1).fd, 0);
        const std::uint16_t tail = s.m2s.tail();
        s.m2s.slot(tail).length = 64;
        fence();
        s.m2s.tail() = plus(tail, 1);
        if (!s.hung_up()) give_up("the victim goes on");
      },
      possible);
  ASSERT_TRUE(possible);
  ::close(file);
  EXPECT_GE(report.connects, 1u);
}

}  // namespace
}  // namespace memif::hostile
