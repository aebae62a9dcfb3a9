#include "capture/sink.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <utility>

#include "common/output.hpp"
#include "common/units.hpp"
#include "decode/decode.hpp"
#include "net/packets.hpp"

namespace memif::tool {
namespace {

using namespace std::chrono_literals;

constexpr auto tick_period = 100ms;
constexpr auto progress_period = 500ms;

const char* end_name(CaptureEnd end) {
  constexpr std::array names{"signal", "packets", "filesize", "files", "duration", "end_of_file", "link_down", "gone"};
  return names[static_cast<std::size_t>(end)];
}

}  // namespace

CaptureSink::CaptureSink(const CaptureOptions& options, std::vector<CaptureSource> sources)
    : options_(options),
      stop_(stop_conditions(options)),
      snap_length_(snap_length(options)),
      sources_(std::move(sources)),
      on_screen_(options.file.empty() && !options.quiet),
      time_(options.times),
      start_(capture_now()) {
  const CaptureConditions ring = ring_conditions(options);
  const CaptureKind file_kind = kind(options);
  if (file_kind.format == CaptureFormat::pcap &&
      std::any_of(sources_.begin(), sources_.end(),
                  [&](const CaptureSource& source) { return source.mode != sources_.front().mode; }))
    throw UsageError("-F pcap has no place for interfaces of several modes: leave it out");
  const std::string expression = fmt::format("{}", fmt::join(options.filter, " "));
  std::vector<pcapng::Description> interfaces;
  for (const CaptureSource& source : sources_) {
    filters_.push_back(std::make_unique<Filter>(expression, source.mode));
    interfaces.push_back({pcapng::file_link_type(link_type(source.mode)), static_cast<std::uint32_t>(snap_length_),
                          source.name, expression});
  }
  if (options.file.empty()) {
    copy_.resize(max_packet);
    return;
  }
  files_.emplace(
      options.file, ring, interfaces,
      [this] {
        std::vector<pcapng::Statistics> result;
        for (const CaptureSource& source : sources_)
          result.push_back({start_, capture_now(), source.received + source.dropped, source.dropped, source.captured});
        return result;
      },
      file_kind, naming(options));
}

std::span<std::uint8_t> CaptureSink::room() noexcept {
  const auto whole = files_ ? files_->room() : std::span(copy_);
  // A filter may look further into the packet than what is kept of it. All have the same expression.
  return filters_.front()->all() ? whole.first(snap_length_) : whole;
}

void CaptureSink::take(std::size_t source, CaptureTime time, std::size_t size, std::size_t total, Direction direction) {
  const View bytes = room().first(size);
  ++sources_[source].received;
  if (!filters_[source]->matches(bytes, total)) return;
  ++sources_[source].captured;
  ++captured_;
  const pcapng::PacketRecord packet{static_cast<std::uint32_t>(source), time, std::min(size, snap_length_), total,
                                    direction};
  if (files_) files_->packet(packet);
  if (on_screen_) print(source, packet, bytes.first(packet.size));
}

void CaptureSink::print(std::size_t source, const pcapng::PacketRecord& packet, View bytes) {
  const Mode mode = sources_[source].mode;
  const std::string link =
      options_.link && mode == Mode::ethernet ? decode_link(bytes, packet.original_size) : std::string();
  const std::string what = link + decode(bytes, packet.original_size, mode, options_.verbose != 0);
  if (options_.json) {
    nlohmann::ordered_json line{{"schema", "memif-dump-packet/1"},
                                {"time_unix_ns", packet.time.time_since_epoch().count()},
                                {"interface", source},
                                {"length", packet.original_size},
                                {"captured", packet.size},
                                {"description", what}};
    if (options_.bytes_shown()) line["bytes"] = fmt::format("{:02x}", fmt::join(bytes, ""));
    print_json(line, -1);
    return;
  }
  const std::string from = sources_.size() > 1 ? sources_[source].name + " " : std::string();
  print_line(fmt::format("{}{}{}", time_(packet.time), from, what));
  if (options_.bytes_shown()) print_bytes(mode, bytes);
}

void CaptureSink::print_bytes(Mode mode, View bytes) const {
  constexpr std::size_t link_header = 14;
  const View payload = mode == Mode::ethernet ? bytes.subspan(std::min(bytes.size(), link_header)) : bytes;
  const auto wanted = [&](unsigned times) { return times > 1 ? bytes : payload; };
  if (options_.ascii != 0)
    print_line(ascii_dump(wanted(options_.ascii)));
  else if (options_.hex_ascii != 0)
    print_line(hex_dump(wanted(options_.hex_ascii), true));
  else
    print_line(hex_dump(wanted(options_.hex), false));
}

void CaptureSink::start() {
  if (stop_.duration && deadline_ == Clock::time_point::max()) deadline_ = Clock::now() + *stop_.duration;
}

bool CaptureSink::enough() const noexcept {
  return (stop_.packets != 0 && captured_ >= stop_.packets) || (stop_.bytes != 0 && files_->bytes() >= stop_.bytes) ||
         (stop_.files != 0 && files_->finished() >= stop_.files);
}

std::optional<CaptureEnd> CaptureSink::end() const noexcept {
  if (stop_.packets != 0 && captured_ >= stop_.packets) return CaptureEnd::packets;
  if (stop_.files != 0 && files_->finished() >= stop_.files) return CaptureEnd::files;
  if (stop_.bytes != 0 && files_->bytes() >= stop_.bytes) return CaptureEnd::file_size;
  if (expired()) return CaptureEnd::duration;
  return std::nullopt;
}

void CaptureSink::tick() {
  const auto now = Clock::now();
  if (now < next_tick()) return;
  last_tick_ = now;
  if (files_) {
    files_->flush();
    files_->check_reader();
  }
  flush_output();
  progress();
}

Clock::time_point CaptureSink::next_tick() const noexcept {
  const auto tick = std::min(last_tick_ + tick_period, deadline_);
  return files_ ? std::min(tick, files_->due()) : tick;
}

// A line that rewrites itself, where only a count can be seen.
void CaptureSink::progress() {
  if (on_screen_ || options_.quiet || !terminal(STDERR_FILENO)) return;
  const auto now = Clock::now();
  if (now < last_progress_ + progress_period) return;
  last_progress_ = now;
  progress_shown_ = true;
  show_progress(fmt::format("{} packets", captured_));
}

void CaptureSink::close() {
  if (files_) files_->close();
}

void CaptureSink::report(CaptureEnd end) {
  if (progress_shown_) show_progress("");
  std::uint64_t received = 0, dropped = 0;
  for (const CaptureSource& source : sources_) {
    received += source.received;
    dropped += source.dropped;
  }
  if (options_.json)
    report_json(end, received, dropped);
  else
    report_text(received, dropped);
}

void CaptureSink::report_text(std::uint64_t received, std::uint64_t dropped) const {
  const std::string all =
      filters_.front()->all() ? std::string() : fmt::format("{} received by the filter, ", received);
  notice(fmt::format("{}{} packets captured, {} dropped", all, captured_, dropped));
  for (const CaptureSource& source : sources_)
    if (source.passes_on)
      notice(fmt::format("from {}: {} packets, {} passed on, {} not", source.name, source.received, source.passed_on,
                         source.not_passed_on));
    else if (source.missed + source.inferred != 0)
      notice(fmt::format("{}: {} missed, {} of a length that their headers say", source.name, source.missed,
                         source.inferred));
}

void CaptureSink::report_json(CaptureEnd end, std::uint64_t received, std::uint64_t dropped) const {
  nlohmann::ordered_json report{{"schema", "memif-dump/1"},
                                {"received", received},
                                {"captured", captured_},
                                {"dropped", dropped},
                                {"ended_by", end_name(end)}};
  report["duration_s"] = std::chrono::duration<double>(Clock::now() - begin_).count();
  report["file_bytes"] = files_ ? files_->bytes() : 0;
  report["files"] = nlohmann::ordered_json::array();
  if (files_)
    for (const std::string& name : files_->names()) report["files"].push_back(name);
  report["interfaces"] = nlohmann::ordered_json::array();
  for (const CaptureSource& source : sources_) {
    nlohmann::ordered_json interface {
      {"name", source.name}, {"mode", memif::to_string(source.mode)}, {"received", source.received},
          {"captured", source.captured}, {
        "dropped", source.dropped
      }
    };
    if (source.passes_on) {
      interface["passed_on"] = source.passed_on;
      interface["not_passed_on"] = source.not_passed_on;
    }
    if (source.tapped) {
      interface["missed"] = source.missed;
      interface["inferred"] = source.inferred;
    }
    report["interfaces"].push_back(interface);
  }
  print_json(report, -1);
}

}  // namespace memif::tool
