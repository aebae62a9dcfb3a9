// Attacks on the memif command: each kind of it that serves peers, in each role, one process for all attacks. It lives,
// goes on to serve its other ports and the next peer, tells what happened, and keeps nothing.
#include "command.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

#include "any_victim.hpp"
#include "peer_process.hpp"
#include "station.hpp"
#include "stress/child.hpp"

namespace memif::hostile {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto patience = 30s;
constexpr std::uint32_t visitor = 1, first_neighbour = 2;  // numbers of stations

// What is attacked: the command's words, to which ports are added, and what is different with it.
struct Kind {
  const char* name;
  std::vector<std::string> words;
  const char* more;               // in the word of the attacked port
  unsigned neighbours;            // ports to peers that behave
  std::uint32_t answers_visitor;  // the station to which a visitor's frames go
  // How the names of attacks begin: those that it cannot suffer, and those that it has no occasion to notice.
  std::vector<std::string> impossible{}, unnoticed{};
  bool only_clients = false;  // all its ports are
};

const Kind kinds[] = {
    {.name = "bridge", .words = {"bridge"}, .more = "", .neighbours = 2, .answers_visitor = first_neighbour},
    {.name = "dump",
     .words = {"dump", "-q", "-w", "/dev/null", "--between"},
     .more = "",
     .neighbours = 1,
     .answers_visitor = first_neighbour,
     .unnoticed = {"InterruptThatNeverEnds"}},  // while it waits for room, it does not wait for interrupts
    // The attacker interrupts nobody, and there is no other traffic that would wake it. It sends what it is sent, and
    // not before.
    {.name = "respond",
     .words = {"respond", "--reflect", "--port"},
     .more = ",rx-mode=polling",
     .neighbours = 0,
     .answers_visitor = visitor,
     .impossible = {"InterruptsThatWouldBlock", "PostedIndexOneTooFar", "PostedIndexGoesBack",
                    "TransmitTailBeyondWhatWasSentAtOnce", "TransmitTailGoesBackAtOnce"},
     .unnoticed = {"InterruptThatNeverEnds", "Posted", "TransmitTail"}},
};

// A wire, so that what the attacker sends and is sent is exchanged.
const Kind bridge_with_pool{.name = "bridge_with_pool",
                            .words = {"bridge", "--pool"},
                            .more = "",
                            .neighbours = 1,
                            .answers_visitor = first_neighbour,
                            .only_clients = true};

Role opposite(Role role) { return role == Role::server ? Role::client : Role::server; }

std::string word(const std::string& socket, Role role, const std::string& more) {
  return "memif:" + socket + ",role=" + to_string(role) + ",reconnect=10ms,wait=forever" + more;
}

struct Holdings {
  explicit Holdings(const Command& of) : descriptors(of.descriptors()), resident(of.resident()) {}
  // A client has one more while it tries to connect. A sanitizer keeps what is freed.
  bool within(const Holdings& before) const {
    return descriptors <= before.descriptors + 1 && (stress::sanitized || resident <= before.resident + allowed_growth);
  }

  static constexpr std::uint64_t allowed_growth = 16 << 20;  // of all attacks together
  std::size_t descriptors;
  std::uint64_t resident;
};

template <class Attack>
class Siege {
 public:
  static constexpr Role role = std::is_same_v<Attack, AttackOnServer> ? Role::server : Role::client;  // the victim's

  explicit Siege(const Kind& kind) : kind_(kind) {
    std::vector<std::string> words = kind.words;
    words.push_back(word(socket_, role,
                         kind.more + (",id=" + std::to_string(good_id)) + ",ring=" + std::to_string(ring_size) +
                             (role == Role::server ? std::string(",secret=") + good_secret
                                                   : ",max-packet=" + std::to_string(clients_max_packet))));
    for (unsigned i = 0; i < kind.neighbours; ++i) {
      const std::string socket = unique_socket("neighbour");
      const Role theirs = kind.only_clients || i % 2 != 0 ? Role::server : Role::client;
      words.push_back(word(socket, opposite(theirs), ""));
      neighbours_.push_back(std::make_unique<Station>(
          context_, InterfaceConfig{.socket = socket, .role = theirs, .reconnect = 10ms}, first_neighbour + i));
    }
    victim_.emplace(words);
    metrics_.emplace(victim_->pid());
  }

  void run(const std::vector<Attack>& attacks) {
    const auto up = [](const auto& station) { return station->connected(); };
    ASSERT_TRUE(turn_until([&] { return std::all_of(neighbours_.begin(), neighbours_.end(), up); }));
    ASSERT_TRUE(turn_until([&] { return metrics_->count(socket_, Outcome::harmless) == 0; }));  // published
    ASSERT_NO_FATAL_FAILURE(withstand(attacks.front()));  // what is made once and kept, is made now
    const Holdings before(*victim_), of_metrics(metrics_->command());
    for (const Attack& attack : attacks) {
      SCOPED_TRACE(attack.name);
      ASSERT_NO_FATAL_FAILURE(withstand(attack));
      EXPECT_TRUE(turn_until([&] { return Holdings(*victim_).within(before); })) << Holdings(*victim_).descriptors;
      EXPECT_TRUE(turn_until([&] { return Holdings(metrics_->command()).within(of_metrics); }));
    }
    for (const auto& station : neighbours_) EXPECT_EQ(station->disconnects(), 0u);
    const bool polls = kind_.more[0] != '\0';
    EXPECT_TRUE(polls || victim_->load_over(300) < 0.7);
    EXPECT_EQ(victim_->terminate(), 0) << victim_->errors();
    EXPECT_EQ(metrics_->command().terminate(), 0) << metrics_->command().errors();
  }

 private:
  void turn() {
    context_.poll(1ms);
    for (const auto& station : neighbours_) station->turn();
  }

  bool turn_until(const std::function<bool()>& done) {
    for (const auto end = Clock::now() + patience; !done(); turn())
      if (Clock::now() > end || !victim_->running() || !metrics_->command().running()) return false;
    return true;
  }

  void withstand(const Attack& attack) {
    const bool told = Metrics::tells(attack.expected, role);
    const double before = metrics_->count(socket_, attack.expected.outcome);
    ASSERT_GE(before, 0);
    const std::uint64_t passed = passed_between_neighbours();
    PeerProcess peer({HOSTILE_PEER, role == Role::server ? "server" : "client", attack.name, socket_,
                      std::to_string(victim_->pid())});
    ASSERT_NO_FATAL_FAILURE(tell(peer, 'a', 'd'));
    EXPECT_TRUE(!told || turn_until([&] { return metrics_->count(socket_, attack.expected.outcome) > before; }))
        << "nothing is counted; " << victim_->errors();
    EXPECT_TRUE(neighbours_.size() < 2 || turn_until([&] { return passed_between_neighbours() > passed + 10; }));
    ASSERT_NO_FATAL_FAILURE(tell(peer, 'c', 'c'));
    ASSERT_NO_FATAL_FAILURE(receive_visitor());
    ASSERT_TRUE(turn_until([&] { return metrics_->count(socket_, Outcome::harmless) == 0; })) << "still up";
  }

  void tell(PeerProcess& peer, char command, char expected) {
    peer.tell(command);
    int answer = 0;
    ASSERT_TRUE(turn_until([&] {
      answer = peer.answer();
      return answer != 0 && answer != 'r';  // which the victim finds out by itself
    })) << victim_->errors();
    ASSERT_EQ(answer, expected) << "the peer could not do what it was told";
  }

  // A peer that behaves takes the attacker's place, and its frames come to where they should.
  void receive_visitor() {
    Context context;
    Station station(context,
                    {.socket = socket_,
                     .id = good_id,
                     .role = opposite(role),
                     .secret = role == Role::server ? good_secret : "",
                     .reconnect = 10ms},
                    visitor);
    const Station& receiver = kind_.answers_visitor == visitor ? station : *neighbours_.front();
    const std::uint64_t before = receiver.received_from(visitor);
    const bool served = turn_until([&] {
      context.poll(0ms);
      station.turn();
      return receiver.received_from(visitor) >= before + 20;
    });
    ASSERT_TRUE(served) << "link: " << station.connected() << ", " << receiver.received_from(visitor) - before
                        << " frames; " << victim_->errors();
  }

  std::uint64_t passed_between_neighbours() const {
    if (neighbours_.size() < 2) return 0;
    return std::min(neighbours_[0]->received_from(first_neighbour + 1), neighbours_[1]->received_from(first_neighbour));
  }

  const Kind& kind_;
  const std::string socket_ = unique_socket("command");
  Context context_;
  std::vector<std::unique_ptr<Station>> neighbours_;
  std::optional<Command> victim_;
  std::optional<Metrics> metrics_;
};

bool begins_as(const std::string& name, const std::vector<std::string>& any) {
  return std::any_of(any.begin(), any.end(), [&](const std::string& one) { return name.starts_with(one); });
}

// Without those that need a setting which the command does not have. Its arrays take the longest chain.
template <class Attack>
std::vector<Attack> chosen(const Kind& kind, std::vector<Attack> attacks) {
  std::erase_if(attacks, [&](const Attack& attack) {
    return attack.setup != Setup::usual || begins_as(attack.name, kind.impossible);
  });
  for (Attack& attack : attacks)
    if (attack.name.starts_with("ChainLongerThanAnyArray") || begins_as(attack.name, kind.unnoticed))
      attack.expected = harmless;
  return attacks;
}

void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class CommandUnder : public testing::TestWithParam<Kind> {};

TEST_P(CommandUnder, AttacksOnAServer) {
  Siege<AttackOnServer>(GetParam()).run(chosen(GetParam(), attacks_on_server()));
}
TEST_P(CommandUnder, AttacksOnAClient) {
  Siege<AttackOnClient>(GetParam()).run(chosen(GetParam(), attacks_on_client()));
}

INSTANTIATE_TEST_SUITE_P(Hostile, CommandUnder, testing::ValuesIn(kinds),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(CommandOfAPoolUnder, AttacksOnAClient) {
  Siege<AttackOnClient>(bridge_with_pool).run(chosen(bridge_with_pool, attacks_on_client()));
}

// As long frames as there are, over as many descriptors as they may have, and longer ones; the ring is never empty.
void flood(RawClient& c, int tell) {
  constexpr unsigned parts = ring_size / 2;
  c.connect();
  std::memset(c.base + RawClient::buffer(true, 0), 0xff, 6);  // to all stations
  for (unsigned packets = 1;; ++packets) {
    while (plus(c.s2m.head(), -c.s2m.tail()) > ring_size - parts) {
    }
    const std::uint32_t length = packets % 2 == 0 ? 65536 / parts : (1 << 20) / parts;
    for (unsigned i = 0; i < parts; ++i) {
      volatile Slot& slot = c.s2m.slot(plus(c.s2m.head(), static_cast<int>(i)));
      slot.flags = i + 1 < parts ? 1 : 0;
      slot.length = length;
      slot.offset = RawClient::buffer(true, 0);
    }
    fence();
    c.s2m.head() = plus(c.s2m.head(), parts);
    if (packets == 1000 && ::write(tell, "f", 1) != 1) ::_exit(4);
  }
}

TEST(CommandFlooded, EndsWhenItIsTold) {
  const std::string here = unique_socket("flooded"), there = unique_socket("flooded");
  Command bridge({"bridge", word(here, Role::server, ",id=" + std::to_string(good_id) + ",secret=" + good_secret),
                  word(there, Role::server, "")});
  Context context;
  Station station(context, {.socket = there, .role = Role::client, .reconnect = 10ms}, first_neighbour);
  const auto turn_until = [&](const std::function<bool()>& done) {
    for (const auto end = Clock::now() + patience; !done(); station.turn()) {
      if (Clock::now() > end || !bridge.running()) return false;
      context.poll(1ms);
    }
    return true;
  };
  ASSERT_TRUE(turn_until([&] { return station.connected(); })) << bridge.errors();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const pid_t flooding = ::fork();
  if (flooding == 0) {
    ::alarm(60);
    RawClient client(here);
    flood(client, ends[1]);
  }
  char told = 0;
  EXPECT_TRUE(turn_until([&] { return ::read(ends[0], &told, 1) == 1; })) << bridge.errors();
  const auto begin = Clock::now();
  EXPECT_EQ(bridge.terminate(), 0) << bridge.errors();
  EXPECT_LT(Clock::now() - begin, 5s);
  ::kill(flooding, SIGKILL);
  ::waitpid(flooding, nullptr, 0);
  for (const int end : ends) ::close(end);
}

}  // namespace
}  // namespace memif::hostile
