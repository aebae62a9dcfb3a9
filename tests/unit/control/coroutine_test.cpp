// Coroutines that wait for queues and links.
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <memif/coroutine.hpp>

#include "support/pair.hpp"

namespace memif {
namespace {

using test::Pair;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

constexpr std::array<std::byte, 60> packet{};

InterfaceConfig config(RxMode mode) {
  InterfaceConfig config{.socket = ""};
  config.ring_size = 8;
  config.rx_mode = mode;
  config.spin = 20us;
  config.reconnect = 0ms;
  return config;
}

std::size_t take(RxQueue& rx) {
  std::array<Buffer, 8> buffers;
  return rx.receive(buffers).size();
}

void fill(TxQueue& tx) {
  while (tx.send_copy(packet)) {
  }
}

using Ends = std::vector<Waited>;

template <class... Limits>
Task note_packets(RxQueue& rx, Ends& ends, Limits... limits) {
  ends.push_back(co_await rx.ready(limits...));
}
template <class... Limits>
Task note_room(TxQueue& tx, std::size_t slots, Ends& ends, Limits... limits) {
  ends.push_back(co_await tx.room(slots, limits...));
}
template <class... Limits>
Task count_packets(RxQueue& rx, std::size_t& packets, Ends& ends, Limits... limits) {
  for (;;) {
    const Waited how = co_await rx.ready(limits...);
    if (how != Waited::ready) ends.push_back(how);
    if (over(how)) co_return;
    packets += take(rx);
  }
}
Task run_after(RxQueue& rx, std::function<void()> what) {
  static_cast<void>(co_await rx.ready());
  what();
}

// The server's context is the one with coroutines.
class CoroutineOf : public testing::TestWithParam<RxMode> {
 protected:
  void SetUp() override { ASSERT_TRUE(pair.connect()); }
  RxQueue& rx() { return pair.server->rx(0); }
  TxQueue& tx() { return pair.server->tx(0); }
  void send() { ASSERT_TRUE(pair.client->tx(0).send_copy(packet)); }
  bool poll_until(const std::function<bool()>& done) {
    return test::poll_until({&pair.server_context, &pair.client_context}, done);
  }
  void disconnect() {
    pair.client->disconnect("for the test");
    ASSERT_TRUE(poll_until([&] { return !pair.server->connected(); }));
  }
  void reconnect() {
    pair.client->connect();
    ASSERT_TRUE(pair.connect());
  }
  // Turns in which nothing is to happen.
  void idle() {
    for (int i = 0; i < 5; ++i) pair.server_context.poll(1ms);
  }

  Pair pair{config(GetParam())};
  Ends ends;
};

TEST_P(CoroutineOf, PacketsAreThereAtOnce) {
  send();
  const Task task = note_packets(rx(), ends);
  EXPECT_TRUE(task.done());
  EXPECT_THAT(ends, ElementsAre(Waited::ready));
}

TEST_P(CoroutineOf, PacketsResume) {
  std::size_t packets = 0;
  const Task task = count_packets(rx(), packets, ends);
  idle();
  for (std::size_t i = 1; i < 100; ++i) {
    send();
    pair.server_context.poll(10s);
    ASSERT_TRUE(poll_until([&] { return packets == i; }));
  }
  EXPECT_FALSE(task.done());
  EXPECT_THAT(ends, IsEmpty());
}

TEST_P(CoroutineOf, PacketsResumeWhoSleepsOnTheContextsDescriptor) {
  std::size_t packets = 0;
  const Task task = count_packets(rx(), packets, ends);
  for (std::size_t i = 1; i < 100; ++i) {
    while (pair.server_context.poll(0ms) == PollResult::handled) {
    }
    send();
    pollfd fd{.fd = pair.server_context.fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&fd, 1, 10000), 1) << i;
    for (int turn = 0; turn < 4 && packets != i; ++turn) pair.server_context.poll(0ms);
    ASSERT_EQ(packets, i);
  }
}

TEST_P(CoroutineOf, RoomIsThereAtOnce) {
  const Task task = note_room(tx(), 8, ends);
  EXPECT_THAT(ends, ElementsAre(Waited::ready));
}

TEST_P(CoroutineOf, RoomResumesOnceThereIsEnough) {
  fill(tx());
  const Task some = note_room(tx(), 5, ends);
  const Task more_than_there_are = note_room(tx(), 1000, ends);
  idle();
  EXPECT_THAT(ends, IsEmpty());
  std::array<Buffer, 6> buffers;
  EXPECT_EQ(pair.client->rx(0).receive(buffers).size(), 6u);
  ASSERT_TRUE(poll_until([&] { return some.done(); }));
  EXPECT_FALSE(more_than_there_are.done());
  EXPECT_EQ(take(pair.client->rx(0)), 2u);
  ASSERT_TRUE(poll_until([&] { return more_than_there_are.done(); }));
  EXPECT_THAT(ends, ElementsAre(Waited::ready, Waited::ready));
}

TEST_P(CoroutineOf, LinksThatComeAndGoResume) {
  std::size_t packets = 0;
  fill(tx());
  Ends tx_ends;
  const Task task = count_packets(rx(), packets, ends);
  for (std::size_t i = 1; i < 4; ++i) {
    const Task sender = note_room(tx(), 8, tx_ends);
    disconnect();
    ASSERT_TRUE(poll_until([&] { return tx_ends.size() == 2 * i - 1 && ends.size() == 2 * i - 1; }));
    EXPECT_EQ(tx_ends.back(), Waited::link_changed);
    const Task next_sender = note_room(tx(), 8, tx_ends);
    idle();
    reconnect();
    ASSERT_TRUE(poll_until([&] { return tx_ends.size() == 2 * i && ends.size() == 2 * i; }));
    EXPECT_EQ(tx_ends.back(), Waited::ready);
    EXPECT_THAT(ends, testing::Each(Waited::link_changed));
    send();
    ASSERT_TRUE(poll_until([&] { return packets == i; }));
    fill(tx());
  }
}

TEST_P(CoroutineOf, LinksAreWaitedFor) {
  std::vector<int> seen;
  const auto watch = [](Interface& port, std::vector<int>& to) -> Task {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(co_await port.until_connected(), Waited::ready);
      to.push_back(1);
      EXPECT_EQ(co_await port.until_disconnected(), Waited::ready);
      to.push_back(0);
    }
    EXPECT_EQ(co_await port.until_connected(1ms), Waited::timed_out);
  };
  const Task task = watch(*pair.server, seen);
  for (int i = 0; i < 3; ++i) {
    if (i != 0) reconnect();
    disconnect();
  }
  EXPECT_THAT(seen, ElementsAre(1, 0, 1, 0, 1, 0));
  ASSERT_TRUE(poll_until([&] { return task.done(); }));
  task.get();
}

TEST_P(CoroutineOf, TimesOut) {
  const Task at_once = note_packets(rx(), ends, 0ns);
  EXPECT_THAT(ends, ElementsAre(Waited::timed_out));
  const auto start = Clock::now();
  fill(tx());
  const Task later = note_packets(rx(), ends, 5ms);
  const Task latest = note_room(tx(), 1, ends, 10ms);
  const Task never = note_packets(rx(), ends, std::chrono::nanoseconds::max());
  ASSERT_TRUE(poll_until([&] { return latest.done(); }));
  EXPECT_GE(Clock::now() - start, 10ms);
  EXPECT_TRUE(later.done());
  EXPECT_FALSE(never.done());
  EXPECT_THAT(ends, ElementsAre(Waited::timed_out, Waited::timed_out, Waited::timed_out));
}

TEST_P(CoroutineOf, StopGoesBeforeWhatIsReady) {
  std::stop_source stop;
  stop.request_stop();
  send();
  const Task task = note_packets(rx(), ends, stop.get_token());
  EXPECT_THAT(ends, ElementsAre(Waited::stopped));
}

TEST_P(CoroutineOf, StopResumes) {
  std::stop_source stop;
  fill(tx());
  const Task first = note_packets(rx(), ends, stop.get_token());
  const Task second = note_room(tx(), 1, ends, stop.get_token());
  const Task other = note_packets(rx(), ends, std::stop_source().get_token());
  idle();
  EXPECT_THAT(ends, IsEmpty());
  stop.request_stop();
  pair.server_context.poll(10s);
  EXPECT_THAT(ends, ElementsAre(Waited::stopped, Waited::stopped));
  EXPECT_FALSE(other.done());
}

TEST_P(CoroutineOf, WakeEndsTheWaitOrTheNext) {
  rx().wake();
  tx().wake();
  fill(tx());
  const Task next = note_packets(rx(), ends);
  const Task next_room = note_room(tx(), 1, ends);
  EXPECT_THAT(ends, ElementsAre(Waited::woken, Waited::woken));
  const Task present = note_packets(rx(), ends);
  const Task present_room = note_room(tx(), 1, ends);
  idle();
  EXPECT_EQ(ends.size(), 2u);
  rx().wake();
  tx().wake();
  ASSERT_TRUE(poll_until([&] { return present.done() && present_room.done(); }));
  EXPECT_THAT(ends, testing::Each(Waited::woken));
  const Task fresh = note_packets(rx(), ends);
  idle();
  EXPECT_FALSE(fresh.done());
}

TEST_P(CoroutineOf, RemovingTheInterfaceResumes) {
  fill(tx());
  const Task packets = note_packets(rx(), ends, 1h);
  const Task room = note_room(tx(), 1, ends, 1h);
  const auto until_gone = [](Interface& port, Ends& to) -> Task { to.push_back(co_await port.until_disconnected()); };
  const Task link = until_gone(*pair.server, ends);
  const std::shared_ptr<RxQueue> kept = pair.server->share_rx(0);
  pair.server_context.remove(*pair.server);
  EXPECT_THAT(ends, ElementsAre(Waited::closed, Waited::closed, Waited::closed));
  const Task afterwards = note_packets(*kept, ends);
  EXPECT_EQ(ends.size(), 4u);
  EXPECT_EQ(ends.back(), Waited::closed);
  idle();
}

TEST_P(CoroutineOf, DestroyingTheContextResumes) {
  auto context = std::make_unique<Context>();
  InterfaceConfig other = config(GetParam());
  other.socket = test::unique_socket();
  std::size_t packets = 0;
  const Task task = count_packets(context->add(other).rx(0), packets, ends);
  context->poll(1ms);
  context = nullptr;
  EXPECT_THAT(ends, ElementsAre(Waited::closed));
  EXPECT_TRUE(task.done());
}

TEST_P(CoroutineOf, WhoIsDestroyedIsNotResumed) {
  {
    std::stop_source stop;
    const Task task = note_packets(rx(), ends, 1ms, stop.get_token());
    fill(tx());
    const Task room = note_room(tx(), 1, ends, 1ms, stop.get_token());
    pair.server_context.poll(0ms);
    stop.request_stop();
  }
  send();
  idle();
  EXPECT_THAT(ends, IsEmpty());
  EXPECT_EQ(take(rx()), 1u);
}

TEST_P(CoroutineOf, ResumedOneMayDestroyOthersThatAreDue) {
  std::optional<Task> second;
  const Task first = run_after(rx(), [&] { second.reset(); });
  second.emplace(note_packets(rx(), ends));
  send();
  ASSERT_TRUE(poll_until([&] { return first.done(); }));
  idle();
  EXPECT_THAT(ends, IsEmpty());
}

TEST_P(CoroutineOf, ResumedOneMayRemoveTheInterfaceOfOthersThatAreDue) {
  const Task first = run_after(rx(), [&] { pair.server_context.remove(*pair.server); });
  const Task second = note_packets(rx(), ends);
  std::size_t packets = 0;
  const Task third = count_packets(rx(), packets, ends);
  send();
  ASSERT_TRUE(poll_until([&] { return first.done(); }));
  EXPECT_THAT(ends, ElementsAre(Waited::closed, Waited::closed));
  EXPECT_TRUE(third.done());
}

// One that removes an interface goes on using its own, which another that is due would remove.
TEST_P(CoroutineOf, RemovingAnInterfaceResumesNobodyElse) {
  Interface& other = pair.server_context.add({.socket = test::unique_socket(), .role = Role::server});
  std::stop_source stop;
  std::vector<std::string> order;
  const auto first = [&](std::stop_token token) -> Task {
    static_cast<void>(co_await rx().ready(token));
    pair.server_context.remove(other);
    order.push_back("first has removed");
    static_cast<void>(rx().up());
  };
  const auto second = [&](std::stop_token token) -> Task {
    static_cast<void>(co_await rx().ready(token));
    order.push_back("second");
  };
  const auto closed = [&]() -> Task {
    static_cast<void>(co_await other.until_connected());
    order.push_back("closed");
  };
  const Task tasks[] = {first(stop.get_token()), second(stop.get_token()), closed()};
  stop.request_stop();
  ASSERT_TRUE(poll_until([&] { return order.size() == 3; }));
  EXPECT_THAT(order, ElementsAre("closed", "first has removed", "second"));
}

// However many end at once: they are resumed one after the other.
TEST_P(CoroutineOf, WhoRemoveTheirInterfacesAreNotNested) {
  std::stop_source stop;
  int depth = 0, deepest = 0, ended = 0;
  const auto remove_own = [&](Interface& own, std::stop_token token) -> Task {
    static_cast<void>(co_await own.rx(0).ready(token));
    deepest = std::max(deepest, ++depth);
    pair.server_context.remove(own);
    --depth;
    ++ended;
  };
  std::vector<Task> tasks;
  for (int i = 0; i < 20; ++i)
    tasks.push_back(
        remove_own(pair.server_context.add({.socket = test::unique_socket(), .role = Role::server}), stop.get_token()));
  stop.request_stop();
  ASSERT_TRUE(poll_until([&] { return ended == 20; }));
  EXPECT_EQ(deepest, 1);
}

// Nor does the end of a link, which callbacks hear of within the call.
TEST_P(CoroutineOf, EndingALinkResumesNobodyWithinACoroutine) {
  std::vector<std::string> order;
  const auto first = [&]() -> Task {
    static_cast<void>(co_await rx().ready());
    pair.server->disconnect("for the test");
    order.push_back("first has disconnected");
  };
  const auto second = [&]() -> Task {
    static_cast<void>(co_await pair.server->until_disconnected());
    order.push_back("second");
  };
  const Task tasks[] = {first(), second()};
  send();
  ASSERT_TRUE(poll_until([&] { return order.size() == 2; }));
  EXPECT_THAT(order, ElementsAre("first has disconnected", "second"));
}

TEST_P(CoroutineOf, ResumedOneMayDestroyTheContext) {
  auto context = std::make_unique<Context>();
  InterfaceConfig other = config(GetParam());
  other.socket = test::unique_socket();
  RxQueue& queue = context->add(other).rx(0);
  const Task first = run_after(queue, [&] { context = nullptr; });
  const Task second = note_packets(queue, ends, 1h);
  queue.wake();
  context->poll(10s);
  EXPECT_TRUE(first.done());
  EXPECT_THAT(ends, ElementsAre(Waited::woken));
}

// The link's end, and the time-out, are noticed all the same.
TEST_P(CoroutineOf, WhoAlwaysFindsPacketsGivesOthersATurn) {
  std::size_t looks = 0;
  const auto never_take = [](RxQueue& queue, std::size_t& count) -> Task {
    for (;;) {
      const Waited how = co_await queue.ready();
      if (how != Waited::ready || ++count == 1000000) co_return;
    }
  };
  send();
  const Task busy = never_take(rx(), looks);
  EXPECT_LT(looks, 200u);
  Ends own;
  fill(tx());
  const Task limited = note_room(tx(), 1, own, 1ms);
  disconnect();
  EXPECT_FALSE(own.empty());
  EXPECT_FALSE(busy.done()) << "it waits for the next link";
  EXPECT_LT(looks, 1000000u);
}

TEST_P(CoroutineOf, NobodyWaitsAndTheQueueIsAThreads) {
  { const Task task = note_packets(rx(), ends, 1h); }
  idle();
  std::thread user([&] {
    ASSERT_TRUE(pair.client->tx(0).send_copy(packet));
    EXPECT_TRUE(rx().wait(10s));
    EXPECT_EQ(take(rx()), 1u);
    EXPECT_TRUE(rx().arm());
  });
  for (int i = 0; i < 20; ++i) pair.server_context.poll(1ms);
  user.join();
  for (int i = 0; i < 4; ++i) pair.server_context.poll(0ms);
  EXPECT_EQ(pair.server_context.poll(1ms), PollResult::timed_out) << "what nobody waits for is quiet";
}

TEST_P(CoroutineOf, ChildOfForkResumesNobody) {
  auto context = std::make_unique<Context>();
  InterfaceConfig other = config(GetParam());
  other.socket = test::unique_socket();
  const Task task = note_packets(context->add(other).rx(0), ends, 1h);
  const pid_t child = ::fork();
  if (child == 0) {
    context = nullptr;
    ::_exit(ends.empty() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  context = nullptr;
  EXPECT_THAT(ends, ElementsAre(Waited::closed));
}

INSTANTIATE_TEST_SUITE_P(Modes, CoroutineOf, testing::Values(RxMode::polling, RxMode::interrupt, RxMode::adaptive),
                         [](const auto& mode) { return std::string(to_string(mode.param)); });

// A loop of the program's own that knows of one descriptor at a time.
class Watched final : public EventLoop {
 public:
  Status add(int fd, unsigned events) override { return change(fd, events); }
  Status change(int fd, unsigned events) override {
    remove(fd);
    fds_.push_back({.fd = events != 0 ? fd : ~fd, .events = POLLIN, .revents = 0});
    return Nothing{};
  }
  void remove(int fd) noexcept override {
    std::erase_if(fds_, [fd](const pollfd& entry) { return entry.fd == fd || entry.fd == ~fd; });
  }
  void set_timer(std::optional<Clock::time_point> when) noexcept override { timer_ = when; }

  bool watches(int fd) const {
    return std::any_of(fds_.begin(), fds_.end(), [fd](const pollfd& entry) { return entry.fd == fd; });
  }
  void turn(Context& context) {
    std::vector<pollfd> fds = fds_;
    ::poll(fds.data(), fds.size(), 1);
    for (const pollfd& entry : fds)
      if (entry.revents != 0) context.handle(entry.fd);
    if (timer_ && *timer_ <= Clock::now()) context.handle_timer();
  }

 private:
  std::vector<pollfd> fds_;
  std::optional<Clock::time_point> timer_;
};

TEST(Coroutine, LivesInALoopOfTheProgramsOwn) {
  Watched loop;
  Context context{{.loop = &loop}};
  Context peer_context;
  InterfaceConfig both = config(RxMode::adaptive);
  both.socket = test::unique_socket();
  both.role = Role::server;
  Interface& own = context.add(both);
  both.role = Role::client;
  Interface& peer = peer_context.add(both);
  Ends ends;
  std::size_t packets = 0;
  const Task receiver = count_packets(own.rx(0), packets, ends);
  const auto until = [&](const std::function<bool()>& done) {
    for (int i = 0; i < 5000 && !done(); ++i) {
      loop.turn(context);
      peer_context.poll(0ms);
    }
    return done();
  };
  ASSERT_TRUE(until([&] { return own.connected() && peer.connected() && !ends.empty(); }));
  for (std::size_t i = 1; i < 100; ++i) {
    ASSERT_TRUE(peer.tx(0).send_copy(packet));
    ASSERT_TRUE(until([&] { return packets == i; }));
  }
  fill(own.tx(0));
  const Task sender = note_room(own.tx(0), 8, ends);
  ASSERT_TRUE(until([&] { return take(peer.rx(0)) == 0; }));
  ASSERT_TRUE(until([&] { return sender.done(); }));
  const int fd = own.rx(0).event_fd();
  EXPECT_TRUE(loop.watches(fd));
  context.remove(own);
  EXPECT_THAT(ends, ElementsAre(Waited::link_changed, Waited::ready, Waited::closed));
  EXPECT_FALSE(loop.watches(fd));
}

Task throws_after(RxQueue& rx) {
  static_cast<void>(co_await rx.ready(1ms));
  throw std::runtime_error("thrown");
}

Task awaits(RxQueue& rx, std::string& caught) {
  try {
    co_await throws_after(rx);
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
}

TEST(Coroutine, TaskIsAwaitedAndThrowsWhatItWasThrown) {
  Context context;
  RxQueue& rx = context.add({.socket = test::unique_socket(), .role = Role::server}).rx(0);
  std::string caught;
  const Task outer = awaits(rx, caught);
  const Task alone = throws_after(rx);
  ASSERT_TRUE(test::poll_until({&context}, [&] { return outer.done() && alone.done(); }));
  EXPECT_EQ(caught, "thrown");
  outer.get();
  EXPECT_THROW(alone.get(), std::runtime_error);
}

// A type of coroutine that lets exceptions out. It is at its end then.
struct Loose {
  struct promise_type {
    Loose get_return_object() noexcept { return Loose(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const { throw; }
  };

  explicit Loose(std::coroutine_handle<promise_type> of) noexcept : coroutine(of) {}
  ~Loose() {
    if (coroutine) coroutine.destroy();
  }
  Loose(Loose&& other) noexcept : coroutine(std::exchange(other.coroutine, nullptr)) {}
  std::coroutine_handle<promise_type> coroutine;
};

Loose throws(RxQueue& rx) {
  static_cast<void>(co_await rx.ready());
  throw std::runtime_error("thrown");
}

TEST(Coroutine, WhatOneThrowsKeepsNoOtherFromBeingResumed) {
  Context context;
  RxQueue& rx = context.add({.socket = test::unique_socket(), .role = Role::server}).rx(0);
  const Loose thrower = throws(rx);
  Ends ends;
  const Task other = note_packets(rx, ends);
  rx.wake();
  EXPECT_THROW(context.poll(10s), std::runtime_error);
  EXPECT_THAT(ends, IsEmpty());
  context.poll(10s);
  EXPECT_THAT(ends, ElementsAre(Waited::woken));
}

TEST(CoroutineThreads, StopAndWakeComeFromAnyThread) {
  Context context;
  RxQueue& rx = context.add({.socket = test::unique_socket(), .role = Role::server}).rx(0);
  std::stop_source stop;
  std::size_t packets = 0;
  Ends ends;
  const Task task = count_packets(rx, packets, ends, stop.get_token());
  std::thread other([&] {
    for (int i = 0; i < 200; ++i) rx.wake();
    stop.request_stop();
  });
  while (!task.done()) context.poll(-1ms);
  other.join();
  EXPECT_EQ(ends.back(), Waited::stopped);
}

// Coroutines that begin and end their waits while another thread stops them.
TEST(CoroutineThreads, StopMeetsWaitsThatEnd) {
  Context context;
  RxQueue& rx = context.add({.socket = test::unique_socket(), .role = Role::server}).rx(0);
  for (int i = 0; i < 200; ++i) {
    std::stop_source stop;
    Ends ends;
    std::thread other([&] { stop.request_stop(); });
    {
      const Task lives = note_packets(rx, ends, stop.get_token());
      const Task ends_early = note_packets(rx, ends, stop.get_token());
      if (i % 2 == 0) context.poll(0ms);
    }
    other.join();
  }
}

// A peer on another thread: all packets come through, both ways, and both ends sleep now and then.
TEST(CoroutineThreads, EchoesAPeerOnAnotherThread) {
  for (const RxMode mode : {RxMode::polling, RxMode::interrupt, RxMode::adaptive}) {
    Pair pair(config(mode));
    ASSERT_TRUE(pair.connect());
    constexpr std::size_t count = 20000;
    std::thread peer([&] {
      std::size_t received = 0;
      for (std::size_t sent = 0; received != count;) {
        while (sent != count && sent - received < 12 && pair.client->tx(0).send_copy(packet)) ++sent;
        if (received == sent)  // and the echo has not yet given the slots back
          pair.client->tx(0).wait(1, 10s);
        else if (pair.client->rx(0).wait(10s))
          received += take(pair.client->rx(0));
      }
    });
    const auto echo = [](RxQueue& rx, TxQueue& tx, std::size_t left) -> Task {
      std::array<Buffer, 8> buffers;
      while (left != 0) {
        EXPECT_EQ(co_await rx.ready(10s), Waited::ready);
        RxBurst burst = rx.receive(buffers);
        while (!burst.empty()) {
          EXPECT_EQ(co_await tx.room(1, 10s), Waited::ready);
          left -= tx.forward(burst);
        }
      }
    };
    const Task task = echo(pair.server->rx(0), pair.server->tx(0), count);
    while (!task.done()) pair.server_context.poll(1s);
    peer.join();
    task.get();
  }
}

}  // namespace
}  // namespace memif
