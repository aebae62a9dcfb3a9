#include "observe/metrics_text.hpp"

#include <fmt/format.h>
#include <string_view>
#include <utility>

#include "observe/observed.hpp"
#include "observe/process.hpp"

namespace memif::tool {
namespace {

std::string escape(std::string_view value) {
  std::string result;
  for (const char c : value) {
    if (c == '\\' || c == '"') result += '\\';
    result += c;
  }
  return result;
}

std::string label(std::string_view name, std::string_view value) {
  return fmt::format("{}=\"{}\"", name, escape(value));
}

// What tells interfaces apart. The rest of what is known is in memif_interface_info.
std::string identity(const ObservedInterface& seen) {
  return fmt::format("{},{},{},{}", label("pid", std::to_string(seen.program.pid)), label("socket", seen.socket),
                     label("id", std::to_string(seen.id)), label("role", to_string(seen.role)));
}

std::string identity(const ObservedInterface& seen, std::size_t queue) {
  return fmt::format("{},{}", identity(seen), label("queue", std::to_string(queue)));
}

class Writer {
 public:
  explicit Writer(const std::vector<ObservedInterface>& seen) : seen_(seen) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void number(std::uint64_t value) { text_ += fmt::format("{} {}\n", name_, value); }
  template <class Number>
  void sample(const std::string& labels, Number value) {
    text_ += fmt::format("{}{{{}}} {}\n", name_, labels, value);
  }

  // One sample an interface.
  template <class Value>
  void interfaces(std::string_view name, std::string_view type, std::string_view help, Value value) {
    family(name, type, help);
    for (const ObservedInterface& one : seen_) sample(identity(one), value(one));
  }

  // Samples of every receive, or transmit, queue: each(queue, labels).
  template <class Queue, class Each>
  void queues(std::vector<Queue> ObservedInterface::*direction, std::string_view name, std::string_view type,
              std::string_view help, Each each) {
    family(name, type, help);
    for (const ObservedInterface& one : seen_)
      for (std::size_t i = 0; i < (one.*direction).size(); ++i) each((one.*direction)[i], identity(one, i));
  }
  std::string take() { return std::move(text_); }

 private:
  const std::vector<ObservedInterface>& seen_;
  std::string name_, text_;
};

std::string info_labels(const ObservedInterface& one) {
  std::string labels = identity(one);
  const auto add = [&](std::string_view name, std::string_view value) { labels += "," + label(name, value); };
  add("program", program_name(one));
  add("app_name", one.app_name);
  add("interface", one.name);
  add("mode", to_string(one.mode));
  add("peer_app_name", one.peer ? one.peer->app_name : "");
  add("peer_interface", one.peer ? one.peer->interface_name : "");
  add("peer_pid", one.peer ? std::to_string(one.peer->credentials.pid) : "");
  add("version", one.peer ? version_text(one.peer->version) : "");
  return labels;
}

void write_interfaces(Writer& out) {
  out.interfaces("memif_up", "gauge", "Whether the interface has a link (1) or not (0).",
                 [](const auto& one) { return one.connected ? 1 : 0; });
  out.interfaces("memif_interface_start_time_seconds", "gauge", "When the interface was added, since the Unix epoch.",
                 [](const auto& one) { return std::chrono::duration<double>(one.started.time_since_epoch()).count(); });
  out.interfaces("memif_connects_total", "counter", "Links that came up.",
                 [](const auto& one) { return one.connects; });
  out.interfaces("memif_disconnects_total", "counter", "Links that ended.",
                 [](const auto& one) { return one.disconnects; });
  out.interfaces("memif_refusals_total", "counter", "Handshakes that ended before the link was up.",
                 [](const auto& one) { return one.refusals; });
}

template <class Queue>
void write_rings(Writer& out, std::vector<Queue> ObservedInterface::*direction, std::string_view name) {
  out.queues(direction, fmt::format("memif_{}_ring_size", name), "gauge", "Descriptors that the ring has.",
             [&](const Queue& queue, const std::string& labels) {
               if (queue.ring) out.sample(labels, queue.ring->ring_size);
             });
  out.queues(direction, fmt::format("memif_{}_ring_used", name), "gauge",
             "Descriptors that the sender could not fill: on their way, or held by the receiver.",
             [&](const Queue& queue, const std::string& labels) {
               if (const auto n = used(queue.ring)) out.sample(labels, *n);
             });
}

// `dropped_long` of the queues that receive: memif_rx_dropped_total, with reason="long".
std::string_view reason(std::string_view name) {
  constexpr std::string_view prefix = "dropped_";
  return name.substr(name.starts_with(prefix) ? prefix.size() : 0);
}

// All counters, a family each; those of drops are one, with the reasons as labels.
template <class Queue>
void write_counters(Writer& out, std::vector<Queue> ObservedInterface::*direction, std::string_view name,
                    std::string_view drops_help) {
  using Totals = decltype(Queue::totals);
  const auto is_drop = [](const auto& counter) { return counter.kind == CounterKind::drop; };
  bool drops_written = false;
  for (const auto& counter : Totals::table) {
    if (!is_drop(counter))
      out.queues(
          direction, fmt::format("memif_{}_{}_total", name, counter.name), "counter", counter.help,
          [&](const Queue& queue, const std::string& labels) { out.sample(labels, queue.totals.*counter.value); });
    else if (!std::exchange(drops_written, true))
      out.queues(direction, fmt::format("memif_{}_dropped_total", name), "counter", drops_help,
                 [&](const Queue& queue, const std::string& labels) {
                   for (const auto& drop : Totals::table)
                     if (is_drop(drop))
                       out.sample(labels + "," + label("reason", reason(drop.name)), queue.totals.*drop.value);
                 });
  }
}

}  // namespace

std::string metrics_text(const Observation& all) {
  const auto& seen = all.interfaces;
  Writer out(seen);
  out.family("memif_publications_skipped", "gauge",
             "Files named as publications that are damaged or not the program's own, and programs with too many.");
  out.number(all.skipped);
  out.family("memif_interface_info", "gauge", "What is known of an interface and its peer; always 1.");
  for (const ObservedInterface& one : seen) out.sample(info_labels(one), 1);
  write_interfaces(out);
  write_counters(out, &ObservedInterface::rx, "rx", "Packets received and not handed out, by reason.");
  write_rings(out, &ObservedInterface::rx, "rx");
  write_counters(out, &ObservedInterface::tx, "tx", "Buffers and packets not sent, by reason.");
  write_rings(out, &ObservedInterface::tx, "tx");
  return out.take();
}

}  // namespace memif::tool
