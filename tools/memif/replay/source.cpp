#include "replay/source.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "common/command.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

using std::chrono::nanoseconds;

constexpr int most_records = 1024;  // to look at in one call: signals and the link are served between two

constexpr std::uint64_t far = std::uint64_t{1} << 61;  // ns: 73 years, and still a time when it is added to now

double positive(double rate, const char* option) {
  if (rate <= 0) throw UsageError(fmt::format("{}: the rate must be more than 0", option));
  return rate;
}

Rewrite parse_rewrite(const ReplayPlan& plan, Mode mode) {
  Rewrite rewrite;
  if (!plan.source_mac.empty()) rewrite.source = parse_mac(plan.source_mac);
  if (!plan.destination_mac.empty()) rewrite.destination = parse_mac(plan.destination_mac);
  for (const std::string& text : plan.addresses) rewrite.addresses.push_back(parse_address_map(text));
  if ((rewrite.source || rewrite.destination) && mode != Mode::ethernet)
    throw UsageError("only packets of mode ethernet have MAC addresses");
  return rewrite;
}

}  // namespace

Pace::Pace(const ReplayPlan& plan) {
  if (!plan.packet_rate.empty()) per_packet_ = 1e9 / positive(parse_packet_rate(plan.packet_rate), "--pps");
  if (!plan.bit_rate.empty()) per_byte_ = 8e9 / positive(parse_bit_rate(plan.bit_rate), "--mbps");
  recorded_ = !plan.topspeed && per_packet_ == 0 && per_byte_ == 0;
}

nanoseconds Pace::due(CaptureTime time) {
  if (!recorded_) return nanoseconds(std::llround(std::min(due_, static_cast<double>(far))));
  const std::int64_t ns = time.time_since_epoch().count();
  if (!first_) {
    first_ = ns;
    begin_ = latest_;
  }
  // A capture can say any time, so that a gap can be too long for a signed number.
  const std::uint64_t gap = ns > *first_ ? static_cast<std::uint64_t>(ns) - static_cast<std::uint64_t>(*first_) : 0;
  const std::uint64_t due = std::min(begin_ + std::min(gap, far), far);
  latest_ = std::max(latest_, due);
  return nanoseconds(due);
}

void Pace::passed(std::size_t size) { due_ += per_packet_ + per_byte_ * static_cast<double>(size); }

ReplaySource::ReplaySource(const ReplayPlan& plan, Mode mode)
    : plan_(plan), mode_(mode), pace_(plan), feed_(plan.file), rewrite_(parse_rewrite(plan, mode)) {
  if (plan.loops != 1 && (plan.file == "-" || feed_.fd() >= 0)) throw UsageError("--loop needs an ordinary file");
  feed_.require(mode);
}

bool ReplaySource::load() {
  waits_ = false;
  for (int records = 0; !loaded_ && !finished_ && records < most_records; ++records) {
    try {
      switch (feed_.next()) {
        case CaptureFeed::Next::packet:
          prepare(feed_.packet());
          break;
        case CaptureFeed::Next::later:
          waits_ = true;
          return false;
        case CaptureFeed::Next::end:
          end_loop();
          break;
      }
    } catch (const CaptureDamaged& damage) {
      damage_ = damage.what();
      finished_ = true;
    }
  }
  return loaded_;
}

void ReplaySource::prepare(const CapturedPacket& packet) {
  ++read_;
  due_ = pace_.due(packet.time);
  pace_.passed(packet.data.size());
  if (packet.data.size() < packet.original_size) ++shortened_;
  if (packet.data.empty()) {
    ++empty_;
    return;
  }
  ++loop_packets_;
  packet_.assign(packet.data.begin(), packet.data.end());
  if (!rewrite_.nothing()) rewrite_.apply(packet_, mode_);
  loaded_ = true;
}

void ReplaySource::end_loop() {
  ++loops_;
  finished_ = loop_packets_ == 0 || (plan_.loops != 0 && loops_ >= plan_.loops);
  loop_packets_ = 0;
  if (!finished_) feed_ = CaptureFeed(plan_.file);
  pace_.next_loop();
}

std::optional<double> ReplaySource::part_read() const {
  const auto part = feed_.part_read();
  if (!part || plan_.loops == 0) return std::nullopt;
  return (static_cast<double>(loops_) + *part) / static_cast<double>(plan_.loops);
}

}  // namespace memif::tool
