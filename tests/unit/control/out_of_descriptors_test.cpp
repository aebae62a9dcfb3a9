// A server whose own process, machine or sandbox is in the way says so, to whoever can see it, and goes on when it can.
#include <array>
#include <cerrno>
#include <cstddef>
#include <fcntl.h>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <memif/memif.hpp>

#include "protocol/address.hpp"
#include "protocol/channel.hpp"
#include "protocol/message.hpp"
#include "support/lingering.hpp"
#include "support/pair.hpp"

namespace memif {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// No descriptor more than there are now.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    // The lowest that is free is all the more not to be had.
    const Fd next(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    rlimit tight = before_;
    tight.rlim_cur = static_cast<rlim_t>(next.get());
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

struct Server {
  Server() { interface = &context.add({.socket = socket, .id = 3, .role = Role::server}); }

  // A connection that waits to be accepted.
  Fd visitor() const { return std::move(connect_to(*parse_address(socket))).value(); }
  ListenerStats stats() const { return context.listener_stats(socket).value(); }
  bool until(const std::function<bool()>& done) { return test::poll_until({&context}, done); }

  std::string socket = test::unique_socket();
  std::vector<std::string> lines;
  Context context{{.log = [this](LogLevel, std::string_view line) { lines.emplace_back(line); }}};
  Interface* interface = nullptr;
};

TEST(OutOfDescriptors, AListenerSaysSoOnceAndGoesOnAsSoonAsItCan) {
  Server server;
  const Fd visitor = server.visitor();
  {
    const NoMoreDescriptors limit;
    ASSERT_TRUE(server.until([&] { return server.stats().failed_accepts >= 3; }));
    const ListenerStats stats = server.stats();
    ASSERT_TRUE(stats.trouble);
    EXPECT_EQ(stats.trouble->code, std::errc::too_many_files_open);
    EXPECT_THAT(stats.trouble->text, HasSubstr("cannot accept connections: this process has as many files open"));
    const InterfaceInfo info = server.interface->info();
    ASSERT_TRUE(info.last_reason);
    EXPECT_THAT(info.last_reason->text, HasSubstr("RLIMIT_NOFILE"));
    EXPECT_FALSE(info.last_reason->from_peer);
    ASSERT_EQ(server.lines.size(), 1u);
    EXPECT_THAT(server.lines[0], HasSubstr(server.socket + ": cannot accept connections"));
  }
  Interface& late = server.context.add({.socket = server.socket, .id = 4, .role = Role::server});
  EXPECT_THAT(late.info().last_reason.value_or(Reason{}).text, HasSubstr("RLIMIT_NOFILE"));
  EXPECT_TRUE(server.until([&] { return server.stats().accepted == 1; }));
  EXPECT_FALSE(server.stats().trouble);
  EXPECT_FALSE(server.interface->info().last_reason);
}

// The pace of one that never gets better: the tries of a second do not fill a page.
TEST(OutOfDescriptors, AListenerThatIsNotLetByASandboxNeitherSpinsNorIsSilent) {
  const auto run = [] {
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept4, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{.len = std::size(code), .filter = code};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      return 77;
    Server server;
    const Fd visitor = server.visitor();
    unsigned handled = 0;
    const auto end = Clock::now() + 1s;
    while (Clock::now() < end) handled += server.context.poll(100ms) == PollResult::handled ? 1 : 0;
    const ListenerStats stats = server.stats();
    EXPECT_GE(stats.failed_accepts, 1u);
    EXPECT_LE(stats.failed_accepts, 11u);
    EXPECT_LE(handled, 30u);
    EXPECT_EQ(server.lines.size(), 1u);
    EXPECT_THAT(stats.trouble.value_or(Reason{}).text, HasSubstr("sandbox"));
    EXPECT_EQ(stats.trouble.value_or(Reason{}).code, std::errc::operation_not_permitted);
    EXPECT_THAT(server.interface->info().last_reason.value_or(Reason{}).text, HasSubstr("cannot accept connections"));
    return testing::Test::HasFailure() ? 1 : 0;
  };
  const pid_t pid = ::fork();
  if (pid == 0) std::_Exit(run());
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no system call can be refused here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Who waits in its backlog, with something that takes minutes to close, does not hold up its end.
TEST(OutOfDescriptors, AListenerEndsAtOnceAllTheSame) {
  std::array<test::Lingering, 3> lingering;
  std::vector<Fd> visitors;
  auto server = std::make_unique<Server>();
  for (test::Lingering& one : lingering) {
    Channel channel(server->visitor());
    channel.send(message::emit(message::AddRegion{.index = 0, .size = 4096}), one.fd());
    visitors.emplace_back(::fcntl(channel.fd(), F_DUPFD_CLOEXEC, 0));
    one.close();  // another is on its way
  }
  const auto before = Clock::now();
  {
    const NoMoreDescriptors limit;
    server.reset();
  }
  EXPECT_LT(Clock::now() - before, 10s);
}

// What a client sends cannot be taken: that is not the client's fault.
TEST(OutOfDescriptors, AServerDoesNotBlameItsClientForIt) {
  Server server;
  Channel client(server.visitor());
  Datagram datagram;
  const auto answered = [&] { return client.receive(datagram).value() == Channel::Receive::message; };
  ASSERT_TRUE(server.until(answered));  // HELLO
  client.send(message::emit(message::Init{.version = 0x0200, .id = 3, .name = "poor"}));
  ASSERT_TRUE(server.until(answered));  // ACK
  const Fd memory(::memfd_create("region", MFD_CLOEXEC));
  {
    const NoMoreDescriptors limit;
    client.send(message::emit(message::AddRegion{.index = 0, .size = 4096}), memory.get());
    ASSERT_TRUE(server.until([&] { return server.stats().refused == 1; }));
  }
  const Reason reason = server.stats().last_refusal.value();
  EXPECT_EQ(reason.code, std::errc::too_many_files_open) << reason.text;
  EXPECT_THAT(reason.text, HasSubstr("this process cannot take the file descriptor")) << reason.text;
  EXPECT_THAT(server.interface->info().last_reason.value_or(Reason{}).text, HasSubstr("RLIMIT_NOFILE"));
}

}  // namespace
}  // namespace memif
