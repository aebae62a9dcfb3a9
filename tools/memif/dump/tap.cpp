#include "dump/tap.hpp"

#include <algorithm>
#include <deque>
#include <fmt/format.h>
#include <optional>
#include <sched.h>
#include <sys/prctl.h>
#include <utility>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/output.hpp"
#include "common/published.hpp"
#include "common/session.hpp"

namespace memif::tool {
namespace {

std::string port_name(const ObservedInterface& seen) { return fmt::format("{} id {}", seen.socket, seen.id); }

// What --interface may say of an interface.
bool is_called(const ObservedInterface& seen, const std::string& name) {
  return name == seen.name || name == seen.socket || name == port_name(seen) ||
         name == fmt::format("{} {}", port_name(seen), to_string(seen.role));
}

std::vector<ObservedInterface> choose(const TapChoice& what) {
  const Observation all = published_by(what.pid);
  if (what.interfaces.empty()) return all.interfaces;
  std::vector<ObservedInterface> chosen;
  for (const std::string& name : what.interfaces)
    if (std::none_of(all.interfaces.begin(), all.interfaces.end(),
                     [&](const auto& one) { return is_called(one, name); })) {
      std::vector<std::string> names;
      for (const ObservedInterface& one : all.interfaces)
        names.push_back(fmt::format("{} ({} {})", one.name, port_name(one), to_string(one.role)));
      throw Failure(exit_no_peer,
                    fmt::format("process {} has no interface '{}'; it has {}", what.pid, name, fmt::join(names, ", ")));
    }
  for (const ObservedInterface& one : all.interfaces)
    if (std::any_of(what.interfaces.begin(), what.interfaces.end(),
                    [&](const auto& name) { return is_called(one, name); }))
      chosen.push_back(one);
  return chosen;
}

// A program may have both ends of a link.
std::string name_of(const ObservedInterface& seen, const std::vector<ObservedInterface>& all) {
  const bool twice = 1 < std::count_if(all.begin(), all.end(), [&](const ObservedInterface& one) {
                       return one.socket == seen.socket && one.id == seen.id;
                     });
  return twice ? fmt::format("{} {}", port_name(seen), to_string(seen.role)) : port_name(seen);
}

// Each direction of each interface.
std::vector<CaptureSource> sources_of(const std::vector<ObservedInterface>& chosen, const TapChoice& what) {
  std::vector<CaptureSource> sources;
  for (const ObservedInterface& one : chosen)
    for (const char* const direction : {"rx", "tx"})
      if (what.direction == "both" || what.direction == direction)
        sources.push_back(
            {.name = fmt::format("{} {}", name_of(one, chosen), direction), .mode = one.mode, .tapped = true});
  return sources;
}

// Without a processor of its own, this one takes what nobody else wants.
void stand_back() {
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
}

class TapCapture {
 public:
  TapCapture(const CaptureOptions& options, const TapChoice& what, const std::vector<ObservedInterface>& chosen);

  int run();

 private:
  struct Side {
    Tap tap;
    std::string name;
    std::size_t first_source;
    std::optional<Tap::State> state{};
    std::string trouble{};  // why its link cannot be read
  };

  std::optional<CaptureEnd> serve();
  void look(Side& side);
  void tell(Side& side, Tap::State state);
  void count(const Side& side);
  std::size_t source(const Side& side, bool sent) const { return side.first_source + (both_ && sent ? 1 : 0); }

  CaptureSink sink_;
  const bool rx_, tx_, both_, quiet_;
  Session session_;
  std::deque<Side> sides_;
};

TapCapture::TapCapture(const CaptureOptions& options, const TapChoice& what,
                       const std::vector<ObservedInterface>& chosen)
    : sink_(options, sources_of(chosen, what)),
      rx_(what.direction != "tx"),
      tx_(what.direction != "rx"),
      both_(rx_ && tx_),
      quiet_(options.quiet) {
  std::vector<std::string> troubles;
  for (std::size_t i = 0; i != chosen.size(); ++i) {
    auto tap = Tap::open(
        chosen[i],
        {.rx = rx_, .tx = tx_, .queues = {what.queues.begin(), what.queues.end()}, .keep = sink_.room().size()});
    if (tap)
      sides_.push_back({std::move(*tap), name_of(chosen[i], chosen), i * (both_ ? 2 : 1)});
    else
      troubles.push_back(fmt::format("{}: {}", port_name(chosen[i]), tap.error().message));
  }
  if (sides_.empty() && !troubles.empty()) throw Failure(exit_failed, troubles.front());
  for (const std::string& trouble : troubles) complain(trouble);
}

int TapCapture::run() {
  std::optional<CaptureEnd> end;
  try {
    while (!end) end = serve();
  } catch (const Failure&) {
    sink_.close();  // what was captured is not lost
    throw;
  }
  sink_.close();
  sink_.report(*end);
  if (*end != CaptureEnd::gone || !sink_.limited()) return exit_done;
  complain("the program has ended, or removed its interface");
  return exit_failed;
}

// A look at each, and a pause until the next.
std::optional<CaptureEnd> TapCapture::serve() {
  auto pause = std::chrono::nanoseconds::max();
  bool gone = true;
  for (Side& side : sides_) {
    if (side.state == Tap::State::gone) continue;
    look(side);
    gone = gone && side.state == Tap::State::gone;
    pause = std::min(pause, side.tap.pause());
  }
  if (session_.stopped()) return CaptureEnd::signal;
  sink_.tick();
  if (const auto end = sink_.end()) return end;
  if (gone) return CaptureEnd::gone;
  session_.pause(pause);
  return std::nullopt;
}

void TapCapture::look(Side& side) {
  const CaptureTime time = capture_now();
  const auto state = side.tap.look([&](const TappedPacket& packet) {
    if (sink_.enough()) return;
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(packet.data.data());
    std::copy_n(bytes, packet.data.size(), sink_.room().begin());
    sink_.take(source(side, packet.sent), time, packet.data.size(), packet.size,
               packet.sent ? Direction::outbound : Direction::inbound);
  });
  count(side);
  if (state) return tell(side, *state);
  // One peer is not to end the capture of others.
  if (side.trouble != state.error().message)
    complain(fmt::format("{}: {}; waiting for its next link", side.name, state.error().message));
  side.trouble = state.error().message;
  side.state = Tap::State::down;
}

void TapCapture::tell(Side& side, Tap::State state) {
  if (state == Tap::State::up) {
    sink_.start();
    side.trouble.clear();
  }
  if (side.state == state) return;
  constexpr const char* words[] = {"looking at {}, which is up", "{} is down; waiting for its next link",
                                   "{} has gone"};
  if (!quiet_) notice(fmt::format(fmt::runtime(words[static_cast<std::size_t>(state)]), side.name));
  side.state = state;
}

void TapCapture::count(const Side& side) {
  for (const bool sent : {false, true}) {
    if (!(sent ? tx_ : rx_)) continue;
    const TapCounts counts = sent ? side.tap.tx() : side.tap.rx();
    CaptureSource& to = sink_.source(source(side, sent));
    to.dropped = counts.missed + counts.invalid;
    to.missed = counts.missed;
    to.inferred = counts.inferred;
  }
}

}  // namespace

int tap(const CaptureOptions& options, const TapChoice& what) {
  if (!what.keep_up) stand_back();
  ::prctl(PR_SET_TIMERSLACK, 1UL);  // its pauses are short
  return TapCapture(options, what, choose(what)).run();
}

}  // namespace memif::tool
