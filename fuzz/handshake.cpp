// Sequences of everything that can happen to the two handshake machines: each against the fuzzer, and both joined with
// the fuzzer on the wire and in the hosts, where any action can fail.
#include "protocol/handshake.hpp"

#include <deque>
#include <optional>
#include <vector>

#include <memif/detail/wire.hpp>

#include "input.hpp"

namespace memif::fuzz {
namespace {

using namespace handshake;
using message::Message;

constexpr std::uint16_t most_regions = 4, most_rings = 3;

ServerIdentity identity() {
  return {.app_name = "server",
          .max_region = most_regions - 1,
          .max_m2s_ring = most_rings - 1,
          .max_s2m_ring = most_rings - 1,
          .max_log2_ring_size = 14,
          .timeout = std::chrono::milliseconds(100)};
}

struct Letter {
  Message message;
  std::size_t fds = 0;
};

// A host as the game sees it, and what holds for both roles.
class Host {
 public:
  virtual ~Host() = default;

  bool over() const noexcept { return over_; }
  std::deque<Letter>& sent() noexcept { return sent_; }

  virtual bool up() const = 0;
  virtual void deliver(const Letter& letter, Input& input, Clock::time_point now) = 0;
  virtual void deadline(Input& input, Clock::time_point now) = 0;
  virtual void closed(Input& input, Clock::time_point now) = 0;
  virtual void noise(Input& input, Clock::time_point now) = 0;
  virtual void disconnect(Input& input, Clock::time_point now) = 0;
  virtual void out_of_turn(Input& input, Clock::time_point now) = 0;

 protected:
  void post(const Send& send) {
    const std::size_t fds = send.fd.kind == FdKind::none ? 0 : 1;
    require(fds == message::fds_of(send.message), "descriptors go with the messages that carry one");
    if (const auto* bye = std::get_if<message::Disconnect>(&send.message))
      require(bye->text.size() < message::reason_size, "a reason ends with a NUL");
    require(message::parse(message::emit(send.message)).ok(), "what is sent can be read");
    sent_.push_back({send.message, fds});
  }

  bool heard_ = false;  // something has come into the channel, if only its end
  bool over_ = false;
  bool linked_ = false;

 private:
  std::deque<Letter> sent_;
};

// What holds for every list of actions, whoever made it.
template <class Machine>
class HostOf : public Host {
 public:
  bool up() const override { return machine_.up(); }
  void deliver(const Letter& letter, Input& input, Clock::time_point now) override {
    heard_ = true;
    hears(letter.message);
    run(machine_.on_message(letter.message, letter.fds, now), input, now);
  }
  void deadline(Input& input, Clock::time_point now) override { run(machine_.on_deadline(now), input, now); }
  void closed(Input& input, Clock::time_point now) override {
    heard_ = true;
    run(machine_.on_closed(), input, now);
  }
  void noise(Input& input, Clock::time_point now) override {
    heard_ = true;
    run(machine_.on_refused_input({Errc::malformed_message, "noise"}), input, now);
  }
  void disconnect(Input& input, Clock::time_point now) override {
    run(machine_.disconnect({Errc::closed, false, "enough"}), input, now);
  }
  void start(Input& input, Clock::time_point now) { run(machine_.start(now), input, now); }

 protected:
  using Action = typename Machine::Action;

  explicit HostOf(Machine machine) : machine_(std::move(machine)) {}

  virtual void hears(const Message& message) = 0;
  virtual void perform(const Action& action, Input& input, Clock::time_point now) = 0;
  virtual void leaves() const {}

  void run(const typename Machine::Actions& actions, Input& input, Clock::time_point now) {
    require(!over_ || actions.empty(), "nothing happens after Down");
    for (std::size_t i = 0; i < actions.size(); ++i) {
      const bool down = std::holds_alternative<Down>(actions[i]);
      require(!down || i + 1 == actions.size(), "Down is the last");
      // Any action of the host's may fail; the end may not.
      if (!down && !std::holds_alternative<Send>(actions[i]) && input.byte() % 16 == 1) {
        run(machine_.abort({Errc::bad_region, input.byte() % 2 == 0, "injected"}), input, now);
        require(over_, "an abort ends it");
        return;
      }
      perform(actions[i], input, now);
      if (over_ && !down) return;
    }
    require(machine_.done() == over_, "done and Down are one");
    require(machine_.up() == (linked_ && !over_), "the machine knows that the link is up");
  }

  void perform_common(const Down& down) {
    require(!std::exchange(over_, true), "it ends once");
    leaves();
    require(down.reason.code && !down.reason.text.empty(), "an end has a reason");
  }
  void perform_common(const Deadline&) {}
  void perform_common(const Up&) { require(!std::exchange(linked_, true), "a link is up once"); }

  Machine machine_;
};

class ServerHost final : public HostOf<Server> {
 public:
  explicit ServerHost(Input& input)
      : HostOf({identity(), [this](std::uint32_t id) { return directory(id); }}), shape_(input.byte()) {}

  void out_of_turn(Input&, Clock::time_point) override {}

 private:
  void hears(const Message& message) override {
    if (const auto* init = std::get_if<message::Init>(&message)) init_ = *init;
  }
  std::optional<ServerPolicy> directory(std::uint32_t id) const {
    if (id > 1) return std::nullopt;
    ServerPolicy policy;
    policy.connected = shape_ % 16 == 15;
    policy.is_server = shape_ % 16 != 14;
    policy.secret = shape_ % 2 != 0 ? "secret" : "";
    policy.max_s2m_rings = 2;
    policy.max_m2s_rings = 1;
    policy.interface_name = "interface";
    if (shape_ % 16 == 13) policy.refusal = Reason{Errc::peer_not_allowed, false, "not you"};
    return policy;
  }

  void perform(const Action& action, Input&, Clock::time_point) override {
    std::visit(Cases{[&](const Send& send) { post(send); }, [&](const Admit& admit) { perform_one(admit); },
                     [&](const MapRegion& region) { perform_one(region); },
                     [&](const AttachRing& attach) { perform_one(attach); },
                     [&](const Establish& establish) { perform_one(establish); },
                     [&](const auto& common) { perform_common(common); }},
               action);
  }
  void perform_one(const Admit& admit) {
    require(!std::exchange(admitted_, true), "admitted once");
    require(shape_ % 16 < 13, "nobody is admitted where nobody is welcome");
    require(admit.id <= 1 && init_.version == wire::version, "only to what there is");
    require(shape_ % 2 == 0 || init_.secret == message::to_secret("secret"), "only with the secret");
  }
  void perform_one(const MapRegion& region) {
    require(admitted_, "regions come after INIT");
    require(region.index == regions_.size() && region.index < most_regions && region.size != 0, "regions in order");
    regions_.push_back(region.size);
  }
  void perform_one(const AttachRing& attach) {
    const RingSpec& ring = attach.ring;
    require(ring.region < regions_.size(), "a ring is in a region that there is");
    require(ring.offset % 16 == 0 && ring.log2_size >= 1 && ring.log2_size <= 14, "aligned, and of a size there is");
    const std::uint64_t end = ring.offset + wire::ring_bytes(ring.log2_size);
    require(end <= regions_[ring.region], "a ring ends in its region");
    for (const RingSpec& other : rings_) {
      require(other.s2m != ring.s2m || other.index != ring.index, "a ring is attached once");
      require(other.region != ring.region || other.offset >= end ||
                  other.offset + wire::ring_bytes(other.log2_size) <= ring.offset,
              "rings do not overlap");
    }
    require(ring.index < (ring.s2m ? 2 : 1), "no more rings than the interface has queues");
    rings_.push_back(ring);
  }
  void perform_one(const Establish&) {
    require(admitted_ && !regions_.empty() && !rings_.empty(), "a link has memory and rings");
  }

  std::uint8_t shape_;
  message::Init init_;
  bool admitted_ = false;
  std::vector<std::uint64_t> regions_;
  std::vector<RingSpec> rings_;
};

class ClientHost final : public HostOf<Client> {
 public:
  explicit ClientHost(Input& input) : HostOf(Client(options(input.byte()))) {}

  void out_of_turn(Input& input, Clock::time_point now) override {
    run(machine_.allocated({4096}, {}, now), input, now);
  }

 private:
  void hears(const Message& message) override {
    acknowledged_ = acknowledged_ || (introduced_ && std::holds_alternative<message::Ack>(message));
  }
  static ClientOptions options(std::uint8_t shape) {
    return {.app_name = "client",
            .interface_name = "interface",
            .id = shape % 4u,
            .mode = Mode::ethernet,
            .secret = shape % 8 < 4 ? "secret" : "",
            .rings = {static_cast<std::uint16_t>(1 + shape / 8 % 4), static_cast<std::uint16_t>(1 + shape / 32 % 2)},
            .log2_ring_size = static_cast<std::uint8_t>(1 + shape / 64),
            .timeout = std::chrono::milliseconds(100)};
  }

  // docs/protocol.md, "Leaving".
  void perform(const Action& action, Input& input, Clock::time_point now) override {
    std::visit(Cases{[&](const Send& send) { perform_one(send); }, [&](const TakeGreeting&) { take_greeting(); },
                     [&](const Allocate& wanted) { allocate(wanted, input, now); },
                     [&](const auto& common) { perform_common(common); }},
               action);
  }
  void perform_one(const Send& send) {
    const bool init = std::holds_alternative<message::Init>(send.message);
    require(init || acknowledged_, "before INIT is acknowledged, a client says INIT and nothing else");
    introduced_ = introduced_ || init;
    post(send);
  }
  void take_greeting() {
    require(introduced_ && heard_, "the greeting is taken when INIT has been sent");
    taken_ = true;
  }
  void leaves() const override {
    require(heard_ || machine_.leave() == Leave::when_greeted, "nobody leaves before the greeting");
    require(acknowledged_ || machine_.leave() != Leave::told, "nobody says why before INIT is acknowledged");
    require(introduced_ || !taken_, "nobody leaves with the greeting and without a word");
  }
  void allocate(const Allocate& wanted, Input& input, Clock::time_point now) {
    require(wanted.log2_ring_size >= 1 && wanted.log2_ring_size <= 14, "a ring size that there is");
    std::vector<RingSpec> rings;
    std::uint32_t offset = 0;
    const auto place = [&](bool s2m, std::uint16_t count) {
      for (std::uint16_t i = 0; i < count; ++i) {
        rings.push_back({s2m, i, 0, offset, wanted.log2_ring_size});
        offset += static_cast<std::uint32_t>(wire::ring_bytes(wanted.log2_ring_size));
      }
    };
    place(true, wanted.s2m_rings);
    place(false, wanted.m2s_rings);
    std::vector<std::uint64_t> regions(1 + input.byte() % 3, offset);
    run(machine_.allocated(std::move(regions), std::move(rings), now), input, now);
  }

  bool introduced_ = false, acknowledged_ = false, taken_ = false;
};

// A message of any kind, mostly plausible.
Letter any_letter(Input& input) {
  const std::uint8_t kind = input.byte();
  const auto small = [&](std::uint32_t most) { return static_cast<std::uint16_t>(input.byte() % (most + 1)); };
  if (kind >= 0xe0) {
    message::Bytes bytes{};
    const auto raw = input.bytes(bytes.size());
    std::memcpy(bytes.data(), raw.data(), raw.size());
    if (const auto parsed = message::parse(bytes); parsed.ok()) return {*parsed, small(3)};
    return {message::Ack{}, 0};
  }
  const std::size_t odd_fds = kind >= 0xc0 ? 1 + small(3) : 0;
  switch (kind % 8) {
    case 0:
      return {message::Ack{}, odd_fds};
    case 1:
      return {message::Hello{"server", 0x0200, small(3) == 0 ? std::uint16_t{0x0100} : std::uint16_t{0x0200}, small(4),
                             small(4), small(4), static_cast<std::uint8_t>(small(15))},
              odd_fds};
    case 2:
      return {message::Init{wire::version, small(2), static_cast<Mode>(small(5) == 5 ? 1 : 0),
                            message::to_secret(small(2) == 0 ? "wrong" : "secret"), "client"},
              odd_fds};
    case 3:
      return {message::AddRegion{small(5), small(7) == 7 ? input.number<std::uint64_t>() : 0x10000u}, 1 - odd_fds % 2};
    case 4:
    case 5:
      return {message::AddRing{kind % 8 == 4, small(3), small(2),
                               small(7) == 7 ? input.number<std::uint32_t>() : 0x200u * small(127),
                               static_cast<std::uint8_t>(small(15)), static_cast<std::uint16_t>(small(31) == 31)},
              1 - odd_fds % 2};
    case 6:
      return {message::Connect{"interface"}, odd_fds};
    default:
      if (kind % 16 == 7) return {message::Connected{"interface"}, odd_fds};
      return {message::Disconnect{small(9), "bye"}, odd_fds};
  }
}

class Game {
 public:
  explicit Game(Input& input) : input_(input), kind_(input.byte() % 3), server_(input), client_(input) {
    if (kind_ != 1) server_.start(input_, now_);
    if (kind_ != 0) client_.start(input_, now_);
  }

  void play() {
    for (int step = 0; step < 200 && !input_.empty(); ++step) {
      Host& host = kind_ == 0                             ? static_cast<Host&>(server_)
                   : kind_ == 1 || input_.byte() % 2 == 0 ? static_cast<Host&>(client_)
                                                          : static_cast<Host&>(server_);
      turn(host);
    }
    if (kind_ == 2) finish();
  }

 private:
  void turn(Host& host) {
    Host& other = &host == &server_ ? static_cast<Host&>(client_) : static_cast<Host&>(server_);
    const std::uint8_t what = input_.byte();
    if (what < 0xa0 && kind_ == 2) {
      if (other.sent().empty()) return;
      const Letter letter = other.sent().front();
      if (what % 32 != 31) other.sent().pop_front();  // else it comes twice
      return host.deliver(letter, input_, now_);
    }
    switch (what % 16) {
      case 8:
        now_ += std::chrono::milliseconds(input_.byte());
        return host.deadline(input_, now_);
      case 9:
        return host.closed(input_, now_);
      case 10:
        return host.disconnect(input_, now_);
      case 11:
        return host.noise(input_, now_);
      case 12:
        return host.out_of_turn(input_, now_);
      default:
        return host.deliver(any_letter(input_), input_, now_);
    }
  }

  // Left alone, the two come to an end: a link on both sides, or none on either.
  void finish() {
    Input none(nullptr, 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (Host* host : {static_cast<Host*>(&server_), static_cast<Host*>(&client_)}) {
        Host& other = host == &server_ ? static_cast<Host&>(client_) : static_cast<Host&>(server_);
        if (other.sent().empty()) {
          if (other.over() && !host->over()) {
            host->closed(none, now_);
            moved = true;
          }
          continue;
        }
        moved = true;
        const Letter letter = other.sent().front();
        other.sent().pop_front();
        host->deliver(letter, none, now_);
      }
    }
    require(server_.up() == client_.up(), "both are up, or neither");
  }

  Input& input_;
  int kind_;
  Clock::time_point now_{std::chrono::hours(1)};
  ServerHost server_;
  ClientHost client_;
};

}  // namespace
}  // namespace memif::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  memif::fuzz::Input input(data, size);
  memif::fuzz::Game(input).play();
  return 0;
}
