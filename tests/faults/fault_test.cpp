// Whatever is asked of the system is refused once: the first request, the second, and so on to the last. What comes of
// it is an error, or another attempt; never a crash, never a leak; and afterwards all works as ever.
#include <array>
#include <cstring>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <unistd.h>

#include <memif/coroutine.hpp>
#include <memif/memif.hpp>

#include "refuse_each.hpp"

namespace memif::faults {
namespace {

using namespace std::chrono_literals;

std::string socket_path() { return testing::TempDir() + "memif-fault-" + std::to_string(::getpid()) + ".sock"; }

// Counts only: what a log or a callback asks for is the application's affair.
struct Heard {
  unsigned lines = 0, disconnects = 0, without_reason = 0;
};

InterfaceConfig config_of(Role role, Heard& heard) {
  InterfaceConfig config{.socket = socket_path(),
                         .id = 3,
                         .role = role,
                         .secret = "a secret of some length",
                         .name = "an interface with a long name",
                         .ring_size = 16,
                         .reconnect = 1ms,
                         .handshake_timeout = 80ms,
                         .prefault = true,
                         .allowed_users = {::getuid()}};
  if (role == Role::server) config.socket_file.mode = 0600;
  config.on_disconnected = [&heard](Interface&, const Reason& reason) {
    ++heard.disconnects;
    if (!reason.code || reason.text.empty()) ++heard.without_reason;
  };
  return config;
}

// Two contexts in this thread. Only ours is ever short of something, and only when it is armed.
class Ends {
 public:
  Ends(Role role, Experiment& experiment)
      : experiment_(experiment),
        ours_config_(config_of(role, heard_)),
        peers_config_(config_of(role == Role::server ? Role::client : Role::server, ignored_)) {
    context = std::make_unique<Context>(ContextConfig{.app_name = "an application with a long name",
                                                      .log = [this](LogLevel, std::string_view) { ++heard_.lines; },
                                                      .publish = true});
    if (role == Role::client) peer = &peer_context.add(peers_config_);
  }
  ~Ends() { EXPECT_EQ(heard_.without_reason, 0u); }

  void add_ours() { ours = &context->add(ours_config_); }
  void add_peer() {
    if (peer == nullptr) peer = &peer_context.add(peers_config_);
  }
  InterfaceConfig ours_config() const { return ours_config_; }

  // Ours is armed meanwhile. The peer, and the time that passes, are as ever.
  [[nodiscard]] bool turn_until(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + 10s;
    while (!done()) {
      if (Clock::now() > deadline) return false;
      PollResult result = PollResult::timed_out;
      const auto poll = [&] { result = context->poll(0ms); };
      calm_ ? poll() : experiment_.armed(poll);
      peer_context.poll(result == PollResult::timed_out ? 1ms : 0ms);
    }
    return true;
  }
  [[nodiscard]] bool connect() {
    add_peer();
    return turn_until([this] { return ours->connected() && peer->connected(); });
  }
  // What is tested comes after this: nothing is short meanwhile.
  [[nodiscard]] bool connect_calmly() {
    calm_ = true;
    add_ours();
    const bool connected = connect();
    calm_ = false;
    return connected;
  }
  // From the links that there are to others.
  [[nodiscard]] bool reconnect(std::uint64_t after) {
    return turn_until([&] { return ours->info().connects > after && peer->connected() && ours->connected(); });
  }

  void expect_traffic() {
    exchange(ours->tx(0), peer->rx(0));
    exchange(peer->tx(0), ours->rx(0));
  }

  std::unique_ptr<Context> context;
  Context peer_context;
  Interface* ours = nullptr;
  Interface* peer = nullptr;

 private:
  static void exchange(TxQueue& from, RxQueue& to) {
    std::array<std::byte, 600> packet;
    std::memset(packet.data(), 0x77, packet.size());
    std::array<Buffer, 4> buffers;
    ASSERT_TRUE(from.send_copy(packet));
    const RxBurst received = to.receive(buffers);
    ASSERT_EQ(received.size(), 1u);
    const Packet got = *received.begin();
    ASSERT_EQ(got.bytes().size(), packet.size());
    EXPECT_EQ(std::memcmp(got.data(), packet.data(), packet.size()), 0);
  }

  Experiment& experiment_;
  bool calm_ = false;
  Heard heard_, ignored_;
  InterfaceConfig ours_config_, peers_config_;
};

void expect_nobody_listens() {
  const std::error_code why = probe(socket_path(), 0ms).error().code;
  EXPECT_TRUE(why == std::errc::no_such_file_or_directory || why == std::errc::connection_refused) << why.message();
}

// --- What is being done when something runs out

void create_a_context(Experiment& experiment, Role) {
  experiment.armed([] {
    try {
      const Context context;
    } catch (const Exception& error) {
      if (!error.code()) std::abort();
    } catch (const std::bad_alloc&) {
    }
  });
  Context{}.poll(0ms);
}

void add_an_interface(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  InterfaceConfig config = ends.ours_config();
  Result<Interface*> added = nullptr;
  experiment.armed([&] { added = ends.context->try_add(std::move(config)); });
  if (!added) {
    EXPECT_TRUE(added.error().code);
    EXPECT_FALSE(added.error().message.empty());
    if (role == Role::server) expect_nobody_listens();
    ends.add_ours();
  } else {
    ends.ours = *added;
  }
  ASSERT_TRUE(ends.connect());
  ends.expect_traffic();
}

void shake_hands(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  ends.add_ours();
  ASSERT_TRUE(ends.connect());
  ends.expect_traffic();
}

// A client that finds nobody goes on trying.
void retry(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  ends.peer_context.remove(*std::exchange(ends.peer, nullptr));
  ends.add_ours();
  unsigned turns = 0;
  ASSERT_TRUE(ends.turn_until([&] { return ++turns > 3; }));
  ASSERT_TRUE(ends.connect());
  ends.expect_traffic();
}

// A link that is up ends; the next one is as good.
void lose_the_link(Experiment& experiment, Role role, const std::function<void(Ends&)>& lose) {
  Ends ends(role, experiment);
  ASSERT_TRUE(ends.connect_calmly());
  const std::uint64_t connects = ends.ours->info().connects;
  lose(ends);
  ASSERT_TRUE(ends.reconnect(connects));
  ends.expect_traffic();
}

void disconnect(Experiment& experiment, Role role) {
  const std::string why = "a reason of more than a few words";
  lose_the_link(experiment, role, [&](Ends& ends) { experiment.armed([&] { ends.ours->disconnect(why); }); });
}

void be_disconnected(Experiment& experiment, Role role) {
  lose_the_link(experiment, role, [](Ends& ends) { ends.peer->disconnect("a reason of more than a few words"); });
}

void find_the_peer_broken(Experiment& experiment, Role role) {
  lose_the_link(experiment, role, [&](Ends& ends) {
    const InterfaceInfo info = ends.peer->info();
    const RingInfo& ring = info.tx.at(0);
    auto* const header = static_cast<std::byte*>(info.regions.at(ring.region).address) + ring.offset;
    auto& index = *reinterpret_cast<volatile std::uint16_t*>(header + (role == Role::server ? 6 : 64));
    index = static_cast<std::uint16_t>(index + 5000);
    std::array<Buffer, 4> buffers;
    experiment.armed([&] { EXPECT_TRUE(ends.ours->rx(0).receive(buffers).empty()); });
  });
}

void remove_the_interface(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  ASSERT_TRUE(ends.connect_calmly());
  experiment.armed([&] { ends.context->remove(*ends.ours); });
  ASSERT_TRUE(ends.connect_calmly());
  ends.expect_traffic();
}

void destroy_the_context(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  ASSERT_TRUE(ends.connect_calmly());
  experiment.armed([&] { ends.context.reset(); });
}

void ask_for_information(Experiment& experiment, Role role) {
  Ends ends(role, experiment);
  ASSERT_TRUE(ends.connect_calmly());
  experiment.armed([&] {
    try {
      static_cast<void>(ends.ours->info());
    } catch (const std::bad_alloc&) {
    }
  });
  ends.expect_traffic();
}

// --- Each of them, with each request refused

struct Deed {
  const char* name;
  void (*run)(Experiment&, Role);
};

class ResourceFault : public testing::TestWithParam<std::tuple<Deed, Role, Extent>> {};

// A server that could not remove its socket file leaves one that the next server replaces, and nothing beside it.
void expect_no_socket() {
  if (::access(socket_path().c_str(), F_OK) == 0) {
    Context context;
    EXPECT_TRUE(context.try_add({.socket = socket_path(), .role = Role::server}));
  }
  EXPECT_NE(::access(socket_path().c_str(), F_OK), 0);
  const std::string name = std::filesystem::path(socket_path()).filename();
  for (const auto& entry : std::filesystem::directory_iterator(testing::TempDir()))
    EXPECT_EQ(entry.path().filename().string().find("." + name), std::string::npos) << entry.path();
}

TEST_P(ResourceFault, IsReportedOrRetriedAndLeaksNothing) {
  refuse_each(std::get<Extent>(GetParam()), [](Experiment& experiment) {
    std::get<Deed>(GetParam()).run(experiment, std::get<Role>(GetParam()));
    expect_no_socket();
  });
}

const Deed deeds[] = {{"Handshake", shake_hands},           {"Adding", add_an_interface},
                      {"Disconnecting", disconnect},        {"BeingDisconnected", be_disconnected},
                      {"BrokenPeer", find_the_peer_broken}, {"Removal", remove_the_interface},
                      {"Destruction", destroy_the_context}, {"Information", ask_for_information}};

const auto name_of_fault = [](const auto& instance) {
  const auto& [deed, role, extent] = instance.param;
  return std::string(deed.name) + (role == Role::server ? "OfAServer" : "OfAClient") + name_of(extent);
};
INSTANTIATE_TEST_SUITE_P(During, ResourceFault,
                         testing::Combine(testing::ValuesIn(deeds), testing::Values(Role::server, Role::client),
                                          testing::Values(Extent::once, Extent::from_then)),
                         name_of_fault);
INSTANTIATE_TEST_SUITE_P(DuringThe, ResourceFault,
                         testing::Combine(testing::Values(Deed{"Creation", create_a_context}, Deed{"Retry", retry}),
                                          testing::Values(Role::client),
                                          testing::Values(Extent::once, Extent::from_then)),
                         name_of_fault);

// What the system could not do is not told as something that the peer did. Requests before the call that is to fail are
// refused in vain.
class ControlChannel : public testing::Test {
 protected:
  // Why the link, or the attempt at one, has ended when this call is the one that fails.
  static Reason reason_after(const std::string& call, Role role, bool on_a_link) {
    for (unsigned n = 1;; ++n) {
      Experiment experiment(n, Extent::once, 0);
      Ends ends(role, experiment);
      if (on_a_link) {
        EXPECT_TRUE(ends.connect_calmly());
        ends.peer->disconnect();
      } else {
        ends.add_ours();
        ends.add_peer();
      }
      EXPECT_TRUE(ends.turn_until([&] { return experiment.failed() != nullptr; })) << call << " is not called";
      if (testing::Test::HasFailure()) return {};
      if (experiment.failed() == call) return ends.ours->info().last_reason.value_or(Reason{});
    }
  }
};

TEST_F(ControlChannel, ThatCannotBeReadIsNotTakenForTheEndOfThePeer) {
  for (const Role role : {Role::server, Role::client}) {
    const Reason reason = reason_after("recvmsg", role, true);
    EXPECT_EQ(reason.code, std::errc::not_enough_memory) << reason.text;
    EXPECT_THAT(reason.text, testing::HasSubstr("cannot receive on the control channel")) << reason.text;
  }
}

TEST_F(ControlChannel, ThatCannotBeWrittenIsNotTakenForTheEndOfThePeer) {
  const Reason reason = reason_after("sendmsg", Role::client, false);
  EXPECT_EQ(reason.code, std::errc::no_buffer_space) << reason.text;
  EXPECT_THAT(reason.text, testing::HasSubstr("cannot send on the control channel")) << reason.text;
}

// Bursts and waiting ask for nothing that could be refused: no memory, no descriptors. Signals try the kernel's
// asynchronous I/O first, and have another way.
TEST(ResourcesOfTraffic, AreAllThereWhenTheLinkIsUp) {
  for (const Role role : {Role::server, Role::client}) {
    Experiment experiment(1, Extent::once, 0);
    Ends ends(role, experiment);
    ASSERT_TRUE(ends.connect_calmly());
    const std::array<std::byte, 600> packet{};
    std::array<Buffer, 8> buffers;
    for (unsigned round = 0; round < 100; ++round) {
      ASSERT_TRUE(ends.peer->tx(0).send_copy(packet));
      bool sent = false;
      std::size_t received = 0;
      experiment.armed([&] {
        ends.ours->rx(0).wait(1ms);
        received = ends.ours->rx(0).receive(buffers).size();
        sent = ends.ours->tx(0).allocate(buffers, 3000, 2).send() == 2;
      });
      ASSERT_TRUE(sent);
      ASSERT_EQ(received, 1u);
      ASSERT_EQ(ends.peer->rx(0).receive(buffers).size(), 2u);
    }
    EXPECT_STREQ(experiment.failed() != nullptr ? experiment.failed() : "io_submit", "io_submit");
  }
}

Task count_packets(RxQueue& rx, std::stop_token stop, std::size_t& packets) {
  std::array<Buffer, 8> buffers;
  for (Waited how = Waited::ready; !over(how);) {
    how = co_await rx.ready(1h, stop);
    packets += rx.receive(buffers).size();
  }
}

Task wait_in_vain(TxQueue& tx, std::stop_token stop, unsigned waits) {
  for (; waits != 0; --waits) co_await tx.room(1, 100us, stop);
}

// A coroutine's frame is its program's, and what watches a queue is made once: its waits ask for nothing.
TEST(ResourcesOfCoroutines, AreAllThereAfterTheFirstWait) {
  Experiment experiment(1, Extent::once, 0);
  Ends ends(Role::server, experiment);
  ASSERT_TRUE(ends.connect_calmly());
  const std::array<std::byte, 600> packet{};
  while (ends.ours->tx(0).send_copy(packet)) {
  }
  std::stop_source stop;
  std::size_t packets = 0;
  const Task receiver = count_packets(ends.ours->rx(0), stop.get_token(), packets);
  const Task sender = wait_in_vain(ends.ours->tx(0), stop.get_token(), 50);
  for (std::size_t round = 1; round <= 100; ++round) {
    ASSERT_TRUE(ends.peer->tx(0).send_copy(packet));
    for (int turns = 0; turns < 10000 && packets != round; ++turns) experiment.armed([&] { ends.context->poll(1ms); });
    ASSERT_EQ(packets, round);
  }
  for (int turns = 0; turns < 10000 && !sender.done(); ++turns) experiment.armed([&] { ends.context->poll(1ms); });
  EXPECT_TRUE(sender.done());
  EXPECT_FALSE(receiver.done());
  EXPECT_STREQ(experiment.failed() != nullptr ? experiment.failed() : "io_submit", "io_submit");
}

Task wait_once(RxQueue& rx, TxQueue& tx) {
  co_await rx.ready(1us);
  co_await tx.room(1, 1us);
}

TEST(ResourcesOfCoroutines, FirstWaitThatHasNoneThrows) {
  const auto deed = [](Experiment& experiment) {
    Context context;
    Interface& port = context.add({.socket = socket_path(), .role = Role::server});
    std::optional<Task> task;
    const auto begin = [&] { task.emplace(wait_once(port.rx(0), port.tx(0))); };
    const auto turn = [&](const std::function<void()>& step) {
      try {
        step();
      } catch (const std::bad_alloc&) {  // the frame
      }
    };
    experiment.armed([&] { turn(begin); });
    for (int turns = 0; turns < 1000 && task && !task->done(); ++turns) experiment.armed([&] { context.poll(1ms); });
    if (!task) return;
    ASSERT_TRUE(task->done());
    try {
      task->get();
    } catch (const Exception& error) {
      EXPECT_TRUE(error.code());
    } catch (const std::bad_alloc&) {
    }
    begin();  // all works as ever
    while (!task->done()) context.poll(1ms);
    task->get();
  };
  refuse_each(Extent::once, deed, 4);
}

// The kernel's asynchronous I/O is asked for once in a process, so this is another process. Without it, interrupts are
// written and looked at in the plain way.
TEST(WithoutAsynchronousIo, InterruptsStillWork) {
  const auto exchange_on_interrupts = [] {
    for (const unsigned n : {1u, 2u, 3u, 10u, 50u}) {
      Experiment experiment(n, Extent::from_then, 2);
      Ends ends(Role::server, experiment);
      ends.add_ours();
      if (!ends.connect()) return 1;
      ends.peer->rx(0).set_mode(RxMode::interrupt);
      ends.ours->rx(0).set_mode(RxMode::interrupt);
      ends.expect_traffic();
    }
    return testing::Test::HasFailure() ? 1 : 0;
  };
  EXPECT_EXIT(std::_Exit(exchange_on_interrupts()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace memif::faults
