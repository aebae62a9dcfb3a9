// A port as the user describes it: by options (--socket, --id, ...) or by one word (memif:PATH,id=0,...).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <memif/config.hpp>

namespace memif::tool {

class Command;

struct PortOptions {
  memif::InterfaceConfig config{.reconnect = std::chrono::milliseconds(500)};
  std::optional<std::chrono::nanoseconds> wait = std::chrono::seconds(5);  // for the peer; nothing: no limit
  bool reconnect = false;                                                  // go on when the peer is gone
  bool rx_queues_set = false, tx_queues_set = false;
};

// The interface to add: `options.config`, but a server whose queues were not set takes as many as its client brings.
memif::InterfaceConfig interface_config(const PortOptions& options);

// Adds --socket and the other options of a port, and --port for the one-word form. What --port says is changed by the
// single options. Values of `options` before the call are the defaults; it must outlive the parsing.
void add_port_options(Command app, PortOptions& options);

// The same for a command of several ports: --port may be repeated, and the single options change each of them. `ports`
// has one port before the call, with the defaults.
void add_port_options(Command app, std::vector<PortOptions>& ports);

// Applies "memif:PATH,key=value,..." to `options`. The address of an abstract socket keeps its own keys, netns_name and
// netns_pid. Throws UsageError.
void apply_port_word(std::string_view word, PortOptions& options);

// For commands that take several ports.
PortOptions parse_port_word(std::string_view word);

// What cannot be checked before all options are known. Throws UsageError.
void check_port(const PortOptions& options);

// "/run/vpp/memif.sock id 0": how messages name a port.
std::string port_name(const memif::InterfaceConfig& config);

}  // namespace memif::tool
