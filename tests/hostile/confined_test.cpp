// A victim to whom the system refuses something, in either role: it serves a peer that behaves, or says what it lacks;
// attacks do not end it; and it serves the next peer as before. What a server does without accept4 is in
// tests/unit/control/out_of_descriptors_test.cpp, and what any side does whose mmap() fails in tests/faults.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <sched.h>
#include <string_view>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.hpp"
#include "limited_victim.hpp"
#include "stress/child.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t MiB = 1 << 20;

// --- What is refused

template <auto resource>
bool limit(rlim_t most) {
  const struct rlimit limit { most, most };
  return ::setrlimit(resource, &limit) == 0;
}

// For all threads, from now on.
bool refuse(unsigned call, unsigned error) {
  std::array code{sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                  sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
                  sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter{.len = code.size(), .filter = code.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

bool machine_does_not_overcommit() {
  std::ifstream setting("/proc/sys/vm/overcommit_memory");
  int value = 0;
  return setting >> value && value == 2;
}

struct Confinement {
  const char* name;
  std::function<bool()> at_the_start = [] { return true; }, later{};
  const char* client_lacks = nullptr;  // so that it has no link
  bool memory_group = false;           // of 64 MiB
};

const Confinement confinements[] = {
    {"TwentyDescriptors", [] { return limit<RLIMIT_NOFILE>(20); }},
    {"HalfAGigabyteOfAddresses", [] { return !stress::sanitized && limit<RLIMIT_AS>(512 * MiB); }},
    {"NoFileOfMoreThanAPage", [] { return limit<RLIMIT_FSIZE>(4096); }, {}, "RLIMIT_FSIZE"},
    {"AMachineThatDoesNotOvercommit", machine_does_not_overcommit},
    {.name = "AMemoryGroup", .memory_group = true},
    {"NoMembarrier", [] { return refuse(SYS_membarrier, EPERM); }},
    {.name = "NoMembarrierAnyMore", .later = [] { return refuse(SYS_membarrier, EPERM); }},
    {"NoAsynchronousIO", [] { return refuse(SYS_io_setup, EAGAIN); }},
};

// --- Peers

void run_as_process(const char* what, bool may_give_up, const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  const bool gave_up = WIFEXITED(status) && WEXITSTATUS(status) == 3;
  if (status != 0 && !(may_give_up && gave_up))
    give_up(std::string(what) + " ended with status " + std::to_string(status));
}

Role opposite(Role role) { return role == Role::server ? Role::client : Role::server; }

// Packets in both directions, with pauses in which the victim falls asleep.
void behave(const std::string& socket, Role victims) {
  Context context;
  Interface& interface = context.add({.socket = socket,
                                      .id = good_id,
                                      .role = opposite(victims),
                                      .secret = victims == Role::server ? good_secret : "",
                                      .reconnect = 10ms});
  std::array<Buffer, 32> buffers;
  std::size_t sent = 0, received = 0;
  until("a peer that behaves is served", [&] {
    context.poll(2ms);
    TxBurst burst = interface.tx(0).allocate(std::span(buffers).first(8), 64, 8);
    for (const Packet packet : burst) std::fill_n(packet.data(), packet.size(), std::byte{1});
    sent += burst.send();
    received += interface.rx(0).receive(buffers).size();
    return sent >= 200 && received >= 200;
  });
}

template <class Attack>
void attack(const std::vector<Attack>& attacks, std::string_view name, const std::string& socket) {
  const auto found = std::find_if(attacks.begin(), attacks.end(), [&](const Attack& one) { return one.name == name; });
  if (found == attacks.end()) give_up("there is no attack " + std::string(name));
  if constexpr (std::is_same_v<Attack, AttackOnServer>) {
    RawClient peer(socket);
    found->run(peer);
  } else {
    RawServer peer(socket);
    peer.listen();
    found->run(peer);
  }
}

void PrintTo(const Confinement& confinement, std::ostream* out) { *out << confinement.name; }

constexpr const char* against_server[] = {"InitWithAllDescriptors",         "AThousandSilentConnections",
                                          "RegionAlmostAsLargeAsAllMemory", "SixtyFiveThousandRings",
                                          "InterruptsThatWouldBlock",       "ScribblingDuringTraffic",
                                          "PostedOverTheRingsAtOnce",       "HangsUpWhenUp"};
constexpr const char* against_client[] = {"GreetingWithAllDescriptors",  "LargestLimitsThereAre",
                                          "AckOfEverythingAhead",        "InterruptsFilledDuringTraffic",
                                          "ScribblingDuringTraffic",     "TailFarTooFarDuringTraffic",
                                          "ConnectedWithAllDescriptors", "HangsUpWhenUp"};

// More than a victim may have descriptors for, and they stay.
void behave_in_a_crowd(const std::string& socket) {
  RawClient silent(socket);
  for (int i = 0; i < 300; ++i) {
    silent.open();
    silent.keep(::fcntl(silent.socket(), F_DUPFD_CLOEXEC, 0));
  }
  behave(socket, Role::server);
}

void besiege(const std::string& socket, Role victims) {
  const auto suffer = [&](const char* name, const std::function<void()>& attack) {
    run_as_process(name, true, attack);
    run_as_process("the next peer that behaves", false, [&] { behave(socket, victims); });
  };
  run_as_process("a peer that behaves", false, [&] { behave(socket, victims); });
  if (victims == Role::server) {
    for (const char* name : against_server) suffer(name, [&] { attack(attacks_on_server(), name, socket); });
    run_as_process("a peer in a crowd", false, [&] { behave_in_a_crowd(socket); });
  } else {
    for (const char* name : against_client) suffer(name, [&] { attack(attacks_on_client(), name, socket); });
  }
}

// Offers a link, more than once, to a client that cannot make one.
void offer(const std::string& socket) {
  for (int i = 0; i < 3; ++i)
    run_as_process("a server", false, [&] {
      RawServer server(socket);
      server.listen();
      server.accept();
      server.send(server.greeting());
      if (!server.hung_up()) give_up("the victim goes on");
    });
}

class Confined : public testing::TestWithParam<std::tuple<Confinement, Role>> {};

TEST_P(Confined, ServesOrSaysWhatItLacks) {
  const Confinement& confinement = std::get<Confinement>(GetParam());
  const Role role = std::get<Role>(GetParam());
  LimitedVictim victim{.config = {}, .confine = confinement.at_the_start, .confine_later = confinement.later};
  std::optional<MemoryGroup> group;
  if (confinement.memory_group) {
    group.emplace(64 * MiB);
    victim.confine = [&group] { return group->made() && group->enter(); };
  }
  victim.config.id = good_id;
  victim.config.role = role;
  victim.config.secret = role == Role::server ? good_secret : "";
  victim.config.ring_size = ring_size;
  victim.config.buffer_size = buffer_size;
  victim.config.reconnect = 10ms;
  victim.config.handshake_timeout = 60s;  // so that nobody is saved by it
  victim.config.max_peer_memory = 32 * MiB;
  const bool served = role == Role::server || confinement.client_lacks == nullptr;
  if (!served) victim.words = confinement.client_lacks;
  bool possible = false;
  const Report report = outlive(
      victim, [&](const std::string& socket) { served ? besiege(socket, role) : offer(socket); }, possible);
  if (!possible) GTEST_SKIP() << "this cannot be had here";
  if (served) {
    EXPECT_GE(report.connects, 2u);
    EXPECT_GE(report.packets, 200u);
  } else {
    EXPECT_EQ(report.connects, 0u);
    EXPECT_GE(report.told, 3u);
  }
}

INSTANTIATE_TEST_SUITE_P(Hostile, Confined,
                         testing::Combine(testing::ValuesIn(confinements), testing::Values(Role::server, Role::client)),
                         [](const auto& instance) {
                           return std::string(std::get<0>(instance.param).name) + "_" +
                                  to_string(std::get<1>(instance.param));
                         });

// --- File systems

// Runs `body` where a file system of its own is at a directory; its result is the process's. 77: none can be had.
int with_file_system(const std::function<int(const std::string& directory)>& body) {
  char name[] = "/tmp/memifpp-confined-XXXXXX";
  const std::string directory = ::mkdtemp(name);
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("none", directory.c_str(), "tmpfs", 0, nullptr) == 0;
    ::_exit(mounted ? body(directory) : 77);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::rmdir(directory.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool remount(const std::string& directory, unsigned long flags, const char* options) {
  return ::mount("none", directory.c_str(), nullptr, MS_REMOUNT | flags, options) == 0;
}

bool pass_packets(Context& context, Interface& server, Context& others, Interface& client) {
  std::array<Buffer, 8> buffers;
  std::size_t received = 0;
  for (int i = 0; i < 10'000 && received < 10; ++i) {
    context.poll(1ms);
    others.poll(1ms);
    if (!server.connected() || !client.connected()) continue;
    client.tx(0).allocate(buffers, 64, 1).send();
    received += server.rx(0).receive(buffers).size();
  }
  return received >= 10;
}

// Exit codes tell where it failed.
int serve_on_file_system(const std::string& directory, unsigned long flags, const char* options, const char* words) {
  const std::string socket = directory + "/late.sock";
  Context context, others;
  Interface& early = context.add({.socket = directory + "/early.sock", .role = Role::server});
  if (!remount(directory, flags, options)) return 77;
  for (int i = 0; i < 3; ++i) {  // refused in words that name the cause and the place, and nothing is left over
    const auto refused = context.try_add({.socket = socket, .role = Role::server});
    if (refused) return 2;
    const std::string& text = refused.error().message;
    if (text.find(words) == std::string::npos || text.find(directory) == std::string::npos)
      return ::dprintf(STDERR_FILENO, "the words are: %s\n", text.c_str()), 3;
  }
  Interface& client = others.add({.socket = directory + "/early.sock", .reconnect = 10ms});
  if (!pass_packets(context, early, others, client)) return 4;
  others.remove(client);
  context.remove(early);
  if (!remount(directory, 0, "nr_inodes=100")) return 77;
  const auto late = context.try_add({.socket = socket, .role = Role::server});
  if (!late) return ::dprintf(STDERR_FILENO, "%s\n", late.error().message.c_str()), 5;
  return pass_packets(context, **late, others, others.add({.socket = socket, .reconnect = 10ms})) ? 0 : 6;
}

void expect_served_on(unsigned long flags, const char* options, const char* words) {
  const int code = with_file_system(
      [&](const std::string& directory) { return serve_on_file_system(directory, flags, options, words); });
  if (code == 77) GTEST_SKIP() << "no file system can be mounted here";
  EXPECT_EQ(code, 0);
}

TEST(AServersFileSystem, ThatIsFullIsNamedAndItsOtherSocketsServe) {
  expect_served_on(0, "nr_inodes=2", "No space left on device");
}
TEST(AServersFileSystem, ThatIsReadOnlyIsNamedAndItsOtherSocketsServe) {
  expect_served_on(MS_RDONLY, nullptr, "Read-only file system");
}

}  // namespace
}  // namespace memif::hostile
