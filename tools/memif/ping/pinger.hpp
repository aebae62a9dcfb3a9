// The engine of memif ping: resolves the target, sends echo requests at their time, accounts for the replies.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/latency.hpp"
#include "common/session.hpp"
#include "net/packets.hpp"
#include "net/reassembly.hpp"
#include "net/responder.hpp"

namespace memif::tool {

struct PingPlan {
  Prefix source;
  IpAddress target;
  Mac mac{};
  std::uint64_t count = 0;              // 0: until stopped
  std::chrono::nanoseconds interval{};  // 0: the next request as soon as the last was answered
  std::chrono::nanoseconds timeout{};   // for an answer
  std::size_t size = 56;                // bytes of data in a request
};

// Whether the target is in the source's network, as far as that is known: else nobody may answer for it.
bool on_link(const PingPlan& plan) noexcept;

struct PingTotals {
  std::uint64_t sent = 0, received = 0, duplicates = 0, corrupted = 0;
  std::uint64_t not_sent = 0;         // of those sent, requests that never left
  std::uint64_t wrong_checksums = 0;  // of those received
  LatencyStats latency;
  std::uint64_t lost() const noexcept { return sent - received; }
};

// Called for every good reply.
using ReplyHandler = std::function<void(std::uint64_t sequence, std::size_t bytes, std::chrono::nanoseconds)>;

// What the data of the `number`th request looks like; so what comes back can be verified.
void fill_pattern(Bytes& data, std::size_t size, std::uint64_t number);

class Pinger {
 public:
  Pinger(Session& session, Port& port, const PingPlan& plan, ReplyHandler on_reply);

  enum class End { finished, stopped, link_lost };

  // Runs until the count is reached and answered or timed out, a signal, or trouble. Throws Failure if the peer does
  // not come in time.
  End run();

  const PingTotals& totals() const noexcept { return totals_; }

 private:
  struct Sent {
    Clock::time_point when;
    std::uint64_t number = 0;  // of the request; 0: none yet
    bool answered = false;
  };

  std::optional<End> establish();
  bool resolved() const noexcept { return target_mac_ || port_.config().mode != Mode::ethernet; }
  void resolve(Clock::time_point now);
  bool ask();
  std::chrono::nanoseconds ask_period() const noexcept;
  std::chrono::nanoseconds patience() const noexcept;
  std::string describe_obstacle() const;
  bool all_sent() const noexcept { return plan_.count != 0 && totals_.sent >= plan_.count; }
  Clock::time_point next_send() const noexcept;
  void try_send(Clock::time_point now);
  bool send(View packet);
  bool transmit(View packet);

  void receive();
  void handle(View packet, Clock::time_point when);
  bool learn(View packet);
  void found(const Mac& mac);
  bool assemble(View link_header, View inner, Clock::time_point when);
  bool account_reply(View packet, Clock::time_point when);
  void account(const Ip& ip, const Icmp& reply, Clock::time_point when);
  void answer(View packet, bool only_echoes = false);

  Session& session_;
  Port& port_;
  PingPlan plan_;
  ReplyHandler on_reply_;
  Responder responder_;  // for what the peer asks of us meanwhile
  Reassembler reassembler_;
  PingTotals totals_;

  std::uint16_t id_;
  std::optional<Mac> target_mac_;
  std::uint64_t asked_ = 0;                       // on this link: times that somebody was asked for that
  Clock::time_point ask_{};                       // when to ask again
  Clock::time_point due_{};                       // of the next request
  std::optional<Clock::time_point> stuck_since_;  // a request cannot leave since then
  bool patient_ = true;                           // not, after one was given up, until another leaves
  std::string obstacle_;                          // the last that was told of
  Clock::time_point last_sent_{};
  bool last_answered_ = true;
  std::uint64_t links_ = 0;
  std::vector<Sent> sent_;  // by sequence number on the wire

  Bytes frame_, pattern_, packet_;
  std::vector<Buffer> buffers_ = std::vector<Buffer>(burst_buffers);
  std::vector<Buffer> sent_buffers_ = std::vector<Buffer>(burst_buffers);
};

}  // namespace memif::tool
