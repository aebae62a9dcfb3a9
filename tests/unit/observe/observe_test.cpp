// Publishing, and observing what is published: both ends in this process.
#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include <memif/memif.hpp>

#include "observe/process_file.hpp"
#include "observe/published.hpp"
#include "support/pair.hpp"
#include "support/traced.hpp"

namespace memif {
namespace {

using test::poll_until;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// What this process publishes on a socket, server first.
std::vector<ObservedInterface> seen_on(const std::string& socket) {
  auto all = observe(::getpid()).value().interfaces;
  std::erase_if(all, [&](const ObservedInterface& one) { return one.socket != socket; });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.role > b.role; });
  return all;
}

// A server and a client that publish.
struct Published {
  explicit Published(InterfaceConfig config = {.socket = ""}) : socket(test::unique_socket()) {
    config.socket = socket;
    config.role = Role::server;
    server = &context.add(config);
    config.role = Role::client;
    client = &context.add(config);
  }
  bool connect() {
    return poll_until({&context}, [this] { return server->connected() && client->connected(); });
  }

  std::string socket;
  Context context{{.app_name = "observed", .publish = true}};
  Interface *server = nullptr, *client = nullptr;
};

TEST(Observe, WhatWasNotPublishedIsNotSeen) {
  test::Pair pair;
  EXPECT_THAT(seen_on(pair.server->config().socket), IsEmpty());
}

TEST(Observe, NamesAndStateOfAnInterfaceWithoutAPeer) {
  Context context{{.app_name = "lonely", .publish = true}};
  const std::string socket = test::unique_socket();
  context.add({.socket = socket, .id = 7, .role = Role::server, .mode = Mode::ip, .name = "port 7", .rx_queues = 2});
  const auto seen = seen_on(socket);
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].program.pid, ::getpid());
  EXPECT_EQ(seen[0].program.uid, ::geteuid());
  EXPECT_EQ(seen[0].app_name, "lonely");
  EXPECT_EQ(seen[0].name, "port 7");
  EXPECT_EQ(seen[0].id, 7u);
  EXPECT_EQ(seen[0].role, Role::server);
  EXPECT_EQ(seen[0].mode, Mode::ip);
  EXPECT_FALSE(seen[0].connected);
  EXPECT_FALSE(seen[0].peer);
  EXPECT_THAT(seen[0].rx, SizeIs(2));
  EXPECT_THAT(seen[0].tx, SizeIs(1));
  EXPECT_FALSE(seen[0].rx[0].ring);
}

TEST(Observe, PeerRingsRegionsAndCountersOfALink) {
  Published pair({.socket = "", .ring_size = 64, .buffer_size = 512});
  ASSERT_TRUE(pair.connect());
  const std::array<std::byte, 100> packet{};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pair.client->tx(0).send_copy(packet));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(pair.server->tx(0).send_copy(packet));

  auto seen = seen_on(pair.socket);
  ASSERT_THAT(seen, SizeIs(2));
  const ObservedInterface &server = seen[0], &client = seen[1];
  EXPECT_TRUE(server.connected);
  ASSERT_TRUE(server.peer);
  EXPECT_EQ(server.peer->app_name, "observed");
  EXPECT_EQ(server.peer->interface_name, "memif/0");
  EXPECT_EQ(server.peer->credentials.pid, ::getpid());
  EXPECT_EQ(server.connects, 1u);
  ASSERT_THAT(client.regions, SizeIs(1));
  EXPECT_TRUE(client.regions[0].sealed);
  EXPECT_GE(client.regions[0].size, 128u * 512u);

  EXPECT_EQ(client.tx[0].totals.packets, 3u);
  EXPECT_EQ(client.tx[0].totals.bytes, 300u);
  EXPECT_EQ(server.tx[0].totals.packets, 5u);
  EXPECT_EQ(server.rx[0].totals.packets, 0u);
  ASSERT_TRUE(server.rx[0].ring);
  EXPECT_EQ(server.rx[0].ring->ring_size, 64u);
  EXPECT_EQ(client.rx[0].ring->buffer_size, 512u);
  // The same ring from both ends, and both directions.
  for (const auto& ring : {client.tx[0].ring, server.rx[0].ring}) {
    ASSERT_TRUE(ring && ring->live);
    EXPECT_EQ(ring->live->used, 3u);
  }
  for (const auto& ring : {server.tx[0].ring, client.rx[0].ring}) {
    ASSERT_TRUE(ring && ring->live);
    EXPECT_EQ(ring->live->used, 5u);
  }

  std::array<Buffer, 8> buffers;
  EXPECT_EQ(pair.server->rx(0).receive(buffers).size(), 3u);
  seen = seen_on(pair.socket);
  EXPECT_EQ(seen[0].rx[0].totals.packets, 3u);
  EXPECT_EQ(seen[0].rx[0].totals.bytes, 300u);
  EXPECT_EQ(seen[0].rx[0].ring->live->used, 0u);
}

TEST(Observe, CountersAreThoseThatTheQueueItselfShows) {
  Published pair;
  ASSERT_TRUE(pair.connect());
  ASSERT_TRUE(pair.client->tx(0).send_copy(std::array<std::byte, 64>{}));
  const auto seen = seen_on(pair.socket);
  EXPECT_EQ(seen[1].tx[0].totals.packets, pair.client->tx(0).counters().packets.get());
  EXPECT_EQ(seen[1].tx[0].totals.bytes, pair.client->tx(0).counters().bytes.get());
  EXPECT_EQ(seen[1].tx[0].totals.interrupts, pair.client->tx(0).counters().interrupts.get());
}

TEST(Observe, AnEndedLinkTellsWhy) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  ASSERT_TRUE(pair.connect());
  pair.client->disconnect("enough \x1b[31m of it");
  ASSERT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  const auto seen = seen_on(pair.socket);
  EXPECT_FALSE(seen[0].connected);
  EXPECT_FALSE(seen[0].peer);
  EXPECT_EQ(seen[0].disconnects, 1u);
  EXPECT_FALSE(seen[0].rx[0].ring);
  EXPECT_THAT(seen[0].regions, IsEmpty());
  ASSERT_TRUE(seen[0].last_reason);
  EXPECT_TRUE(seen[0].last_reason->from_peer);
  EXPECT_EQ(seen[0].last_reason->code, Errc::peer_disconnected);
  EXPECT_THAT(seen[0].last_reason->text, HasSubstr("enough ?[31m of it"));
}

TEST(Observe, ARemovedInterfaceIsGoneAlthoughItsQueueIsHeld) {
  Published pair;
  const auto held = pair.server->share_rx(0);
  pair.context.remove(*pair.server);
  EXPECT_THAT(seen_on(pair.socket), SizeIs(1));
  EXPECT_EQ(held->counters().packets.get(), 0u);
}

TEST(Observe, AForkedChildDoesNotPublishItsParentsInterfaces) {
  Published pair;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(ends[1]);
    char byte;
    ::_exit(static_cast<int>(::read(ends[0], &byte, 1)));
  }
  EXPECT_THAT(observe(child).value().interfaces, IsEmpty());
  ::close(ends[0]);
  ::close(ends[1]);
  ::waitpid(child, nullptr, 0);
}

TEST(Observe, ThisProcessIsFoundOnceItPublishes) {
  const auto found = [] {
    const auto all = observe_all().interfaces;
    return std::count_if(all.begin(), all.end(), [](const auto& one) { return one.program.pid == ::getpid(); });
  };
  EXPECT_EQ(found(), 0);
  Published pair;
  EXPECT_EQ(found(), 2);
}

TEST(Observe, AProcessThatIsNotThere) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  const auto seen = observe(child);
  ASSERT_FALSE(seen);
  EXPECT_EQ(seen.error().code, std::errc::no_such_process);
}

// An interface that cannot publish works all the same.
TEST(Observe, WithoutMemoryToPublishInTheInterfaceWorks) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit none{0, before.rlim_max};
  std::string said;
  Context context{{.log = [&](LogLevel, std::string_view text) { said = text; }, .publish = true}};
  ::setrlimit(RLIMIT_FSIZE, &none);
  Interface& interface = context.add({.socket = test::unique_socket(), .role = Role::server, .name = "poor"});
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(said, HasSubstr("poor: not published"));
  EXPECT_THAT(seen_on(interface.config().socket), IsEmpty());
}

bool lock(const Fd& file) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(file.get(), F_SETLK, &whole) == 0;
}

// --- Publications that no library wrote ---

class Damaged : public testing::Test {
 protected:
  static constexpr published::Layout layout{1, 1};

  static published::Identity identity() {
    published::Identity identity{};
    identity.magic = published::magic;
    identity.version = published::version;
    identity.pid = ::getpid();
    identity.rx_queues = identity.tx_queues = 1;
    return identity;
  }

  // A memory file as a publisher leaves it.
  Fd publish(const published::Identity& identity, std::size_t size = layout.size, int seals = F_SEAL_SHRINK,
             std::uint64_t sequence = 0) {
    Fd file(::memfd_create(published::file_name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    std::vector<std::byte> bytes(std::max(size, sizeof identity + 8));
    std::memcpy(bytes.data(), &identity, sizeof identity);
    std::memcpy(bytes.data() + sizeof identity, &sequence, sizeof sequence);
    EXPECT_EQ(::write(file.get(), bytes.data(), size), static_cast<ssize_t>(size));
    EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, seals), 0);
    EXPECT_TRUE(lock(file));
    return file;
  }
  static void expect_refused(const std::string& why) {
    Published others;
    const auto seen = observe(::getpid()).value();
    EXPECT_THAT(seen.interfaces, SizeIs(2));  // which are not blinded
    EXPECT_EQ(seen.skipped, 1u);
    ASSERT_TRUE(seen.why);
    EXPECT_EQ(seen.why->code, Errc::bad_region);
    EXPECT_THAT(seen.why->message, HasSubstr(why));
  }
};

TEST_F(Damaged, WholeOnesAreRead) {
  const Fd file = publish(identity());
  EXPECT_THAT(observe(::getpid()).value().interfaces, SizeIs(1));
}

TEST_F(Damaged, TooShort) {
  const Fd file = publish(identity(), 100);
  expect_refused("too short");
}

TEST_F(Damaged, CouldShrink) {
  const Fd file = publish(identity(), layout.size, 0);
  expect_refused("could shrink");
}

TEST_F(Damaged, OfAnotherVersion) {
  auto other = identity();
  other.version = 99;
  const Fd file = publish(other);
  expect_refused("version 99");
}

TEST_F(Damaged, MoreQueuesThanFit) {
  auto other = identity();
  other.tx_queues = 200;
  const Fd file = publish(other);
  expect_refused("out of range");
}

TEST_F(Damaged, MoreQueuesThanThereCanBe) {
  auto other = identity();
  other.rx_queues = 60000;
  const Fd file = publish(other);
  expect_refused("out of range");
}

// Whoever unmaps it last frees all of it.
TEST_F(Damaged, LongerThanAnyIs) {
  const Fd file = publish(identity(), 8 << 20);
  expect_refused("too long");
}

TEST_F(Damaged, AChangeWithoutEnd) {
  const Fd file = publish(identity(), layout.size, F_SEAL_SHRINK, 1);
  expect_refused("does not end");
}

TEST_F(Damaged, NoMagicIsNothing) {
  auto other = identity();
  other.magic = 1;
  const Fd file = publish(other);
  EXPECT_THAT(observe(::getpid()).value().interfaces, IsEmpty());
}

TEST_F(Damaged, OnesThatFillTheLimitsAreSkipped) {
  std::vector<Fd> files;
  for (std::size_t bytes = 0; bytes < (3u << 19); bytes += layout.size) files.push_back(publish(identity()));
  const auto seen = observe(::getpid()).value();
  EXPECT_LE(seen.interfaces.size(), (1u << 20) / layout.size);
  EXPECT_GE(seen.interfaces.size(), 500u);
  EXPECT_GE(seen.skipped, 1u);
  EXPECT_THAT(seen.why->message, HasSubstr("more than is looked at"));
}

TEST_F(Damaged, ChangesWithoutEndHoldNobodyUpTogether) {
  std::vector<Fd> files;
  for (int i = 0; i < 200; ++i) files.push_back(publish(identity(), layout.size, F_SEAL_SHRINK, 1));
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(observe(::getpid()).value().skipped, 200u);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));  // one twentieth each were ten
}

// --- Whoever publishes slowly, or under many names ---

// Whoever touches a mapping waits while somebody punches a hole into the file, which can take seconds.
TEST(Observe, NothingOfAProgramIsMapped) {
  Published pair;
  ASSERT_TRUE(pair.connect());
  unsigned mappings = 0, reads = 0;
  const auto body = [program = ::getpid()] {
    const Observation seen = observe(program).value();
    const auto with_a_ring = std::count_if(
        seen.interfaces.begin(), seen.interfaces.end(),
        [](const ObservedInterface& one) { return !one.rx.empty() && one.rx[0].ring && one.rx[0].ring->live; });
    return static_cast<int>(with_a_ring);
  };
  const int seen = test::run_traced(body, [&](pid_t observer) {
    __ptrace_syscall_info call{};
    ::ptrace(PTRACE_GET_SYSCALL_INFO, observer, sizeof call, &call);
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return;
    mappings += call.entry.nr == SYS_mmap && (call.entry.args[3] & MAP_SHARED) != 0 ? 1 : 0;
    reads += call.entry.nr == SYS_pread64 ? 1 : 0;
  });
  if (seen == test::cannot_be_traced) GTEST_SKIP() << "no tracing here";
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(mappings, 0u);
  EXPECT_GE(reads, 4u);
}

// What takes long without a processor's time, whatever makes it so.
TEST_F(Damaged, ASlowLookEnds) {
  constexpr int all = 200;
  std::vector<Fd> files;
  for (int i = 0; i < all; ++i) files.push_back(publish(identity()));
  const auto body = [program = ::getpid()] {
    const Observation seen = observe(program).value();
    return seen.skipped == 1 && seen.why->message.find("more than is looked at") != std::string::npos
               ? static_cast<int>(seen.interfaces.size())
               : 255;
  };
  const int seen = test::run_traced(body, [](pid_t) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
  if (seen == test::cannot_be_traced) GTEST_SKIP() << "no tracing here";
  EXPECT_LT(seen, all);
}

// Processes of other users that have `files` files each of that name, and one that publishes an interface.
class ManyUsers : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "becoming other users needs root";
    ASSERT_EQ(::pipe2(ready_.data(), O_CLOEXEC), 0);
    ASSERT_EQ(::pipe2(end_.data(), O_CLOEXEC), 0);
  }
  ~ManyUsers() override {
    for (const int end : {ready_[0], ready_[1], end_[0], end_[1]}) ::close(end);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
  }

  template <class Body>
  pid_t start(uid_t user, Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(end_[1]);
      char byte = 0;
      if (::setresuid(user, user, user) == 0) {
        const auto held = body();
        static_cast<void>(!::write(ready_[1], &byte, 1));
        static_cast<void>(!::read(end_[0], &byte, 1));
      }
      ::_exit(0);
    }
    children_.push_back(child);
    char byte = 0;
    EXPECT_EQ(::read(ready_[0], &byte, 1), 1);
    return child;
  }

  std::array<int, 2> ready_{-1, -1}, end_{-1, -1};
  std::vector<pid_t> children_;
};

TEST_F(ManyUsers, OfOnePersonLeaveSomethingForTheOthers) {
  constexpr int files = 900;  // of a process: 1024 descriptors are what it may have
  for (uid_t user = 63001; user <= 63005; ++user)
    for (int process = 0; process < 5; ++process)
      start(user, [] {
        std::vector<Fd> held;
        for (int i = 0; i < files; ++i) held.emplace_back(::memfd_create(published::file_name, MFD_CLOEXEC));
        return held;
      });
  const pid_t victim = start(63010, [] {
    auto context = std::make_unique<Context>(ContextConfig{.app_name = "victim", .publish = true});
    context->add({.socket = "@nobody-listens-here"});
    return context;
  });
  const Observation seen = observe_all();
  EXPECT_EQ(std::count_if(seen.interfaces.begin(), seen.interfaces.end(),
                          [&](const ObservedInterface& one) { return one.program.pid == victim; }),
            1);
  EXPECT_GT(seen.skipped, 1000u);  // far more than a share of each
}

// --- Publications of others ---

// What a peer can do: a memory file with the name and all the contents of a publication, passed to this process.
class Forged : public Damaged {
 protected:
  Forged() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()), 0);
    child_ = ::fork();
    if (child_ == 0) {
      auto forged = identity();
      forged.pid = ::getppid();
      std::memcpy(forged.app_name.bytes, "forged", 7);
      const Fd file = publish(forged);  // and locked, by the child
      send(file);
      char byte;
      ::_exit(static_cast<int>(::read(ends_[1], &byte, 1)));
    }
    received_ = receive();
  }
  ~Forged() override {
    ::shutdown(ends_[0], SHUT_RDWR);
    ::waitpid(child_, nullptr, 0);
    for (const int end : ends_) ::close(end);
  }

  void send(const Fd& file) {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = file.get();
    std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
    EXPECT_EQ(::sendmsg(ends_[1], &message, 0), 1);
  }
  Fd receive() {
    char byte = 0;
    iovec data{&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    EXPECT_EQ(::recvmsg(ends_[0], &message, MSG_CMSG_CLOEXEC), 1);
    int fd = -1;
    if (const cmsghdr* const head = CMSG_FIRSTHDR(&message)) std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    return Fd(fd);
  }

  std::array<int, 2> ends_{};
  pid_t child_ = -1;
  Fd received_;
};

TEST_F(Forged, AFileOfAPeersIsNotBelievedAndBlindsNobody) {
  Published pair;
  const auto seen = observe(::getpid()).value();
  ASSERT_THAT(seen.interfaces, SizeIs(2));
  for (const ObservedInterface& one : seen.interfaces) EXPECT_EQ(one.app_name, "observed");
  EXPECT_EQ(seen.skipped, 1u);
  EXPECT_THAT(seen.why->message, HasSubstr("did not publish itself"));
}

// A lease makes whoever opens the file wait for its holder, 45 seconds at most for each.
TEST(Observe, NobodyWaitsForALease) {
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGIO, SIG_IGN);
    const int made = ::memfd_create(published::file_name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const int file = ::open(("/proc/self/fd/" + std::to_string(made)).c_str(), O_RDWR | O_CLOEXEC);
    ::close(made);
    const bool leased = ::ftruncate(file, 4096) == 0 && ::fcntl(file, F_SETLEASE, F_WRLCK) == 0;
    static_cast<void>(!::write(ready[1], leased ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char leased = 0;
  EXPECT_EQ(::read(ready[0], &leased, 1), 1);
  const auto began = std::chrono::steady_clock::now();
  const auto seen = observe(child);
  const auto took = std::chrono::steady_clock::now() - began;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  EXPECT_TRUE(seen);
  EXPECT_LT(took, std::chrono::seconds(10));
  if (leased != 'y') GTEST_SKIP() << "no leases here";
}

// What is spent on looking at a program is its user's, also if the program has more rights, as `su` has.
TEST(Observe, AProgramIsItsRealUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other = ::setresgid(1235, 0, 0) == 0 && ::setresuid(1234, 0, 0) == 0;
    static_cast<void>(!::write(ready[1], other ? "y" : "n", 1));
    ::pause();
    ::_exit(0);
  }
  char other = 0;
  EXPECT_EQ(::read(ready[0], &other, 1), 1);
  EXPECT_EQ(other, 'y');
  const auto seen = detail::credentials_of(child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const int end : ready) ::close(end);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->uid, 1234u);
  EXPECT_EQ(seen->gid, 1235u);
  EXPECT_EQ(detail::credentials_of(child).error().code, std::errc::no_such_process);
}

TEST_F(Forged, NorIsAMappingOfIt) {
  void* const data = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, received_.get(), 0);
  ASSERT_NE(data, MAP_FAILED);
  EXPECT_THAT(observe(::getpid()).value().interfaces, IsEmpty());
  ::munmap(data, 4096);
}

// The lock by which a publication is known goes with any descriptor of the file that its process closes.
TEST(Observe, AProcessThatLooksAtItselfIsSeenByOthersAsBefore) {
  Published pair;
  for (int i = 0; i < 3; ++i) EXPECT_THAT(seen_on(pair.socket), SizeIs(2));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(static_cast<int>(observe(::getppid()).value().interfaces.size()));
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

// As a peer of the same user makes it do, which sends it that descriptor.
TEST(Observe, AProgramThatLostItsLockTakesItAgainWhenItsLinkChanges) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  ASSERT_TRUE(pair.connect());
  const auto seen_by_others = [] {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(static_cast<int>(observe(::getppid()).value().interfaces.size()));
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  const auto close_another = [](int fd) {
    const Fd another(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(another);
    return true;
  };
  ASSERT_TRUE(detail::each_memory_file(::getpid(), published::file_name, close_another, [] { return true; }));
  EXPECT_EQ(seen_by_others(), 0);
  pair.client->disconnect();
  ASSERT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  EXPECT_EQ(seen_by_others(), 2);
}

TEST_F(Damaged, ATextWithoutEndAndWithControlCharacters) {
  auto other = identity();
  std::memset(other.app_name.bytes, '\x07', sizeof other.app_name.bytes);
  const Fd file = publish(other);
  EXPECT_EQ(observe(::getpid()).value().interfaces.at(0).app_name, std::string(32, '?'));
}

TEST_F(Damaged, RandomBytesBehindTheIdentity) {
  std::uint64_t state = 88172645463325252u;
  for (int round = 0; round < 200; ++round) {
    Fd file = publish(identity(), layout.size, 0);
    for (std::size_t at = sizeof(published::Identity); at + 8 <= layout.size; at += 8) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      const std::uint64_t word = at == sizeof(published::Identity) ? state & ~1u : state;
      ASSERT_EQ(::pwrite(file.get(), &word, 8, static_cast<off_t>(at)), 8);
    }
    ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    static_cast<void>(observe(::getpid()));
  }
}

// A reader never sees a link without its peer, whatever it is interrupted by.
TEST(ObserveThreads, WhatIsSeenIsOneMoment) {
  Published pair({.socket = "", .reconnect = std::chrono::milliseconds(0)});
  std::atomic<bool> stop{false};
  std::uint64_t looks = 0;
  std::thread observer([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      for (const ObservedInterface& seen : seen_on(pair.socket)) {
        EXPECT_EQ(seen.connected, seen.peer && seen.peer->app_name == "observed");
        EXPECT_EQ(seen.connected, seen.rx[0].ring.has_value());
        EXPECT_EQ(seen.connected, seen.regions.size() == 1);
        EXPECT_EQ(seen.connects - seen.disconnects, seen.connected ? 1u : 0u);
      }
      ++looks;
    }
  });
  for (int i = 0; i < 100; ++i) {
    pair.client->connect();
    EXPECT_TRUE(pair.connect());
    pair.client->disconnect();
    EXPECT_TRUE(poll_until({&pair.context}, [&] { return !pair.server->connected(); }));
  }
  stop.store(true, std::memory_order_relaxed);
  observer.join();
  EXPECT_GT(looks, 0u);
}

}  // namespace
}  // namespace memif
