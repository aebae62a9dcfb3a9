#include "common/port_options.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fstream>
#include <functional>
#include <limits>
#include <utility>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/units.hpp"

namespace memif::tool {
namespace {

using std::chrono::milliseconds;

[[noreturn]] void refuse(std::string_view value, std::string_view expected) {
  throw UsageError(fmt::format("'{}' is not {}", value, expected));
}

void set_role(PortOptions& options, std::string_view value) {
  if (value == "client" || value == "slave")
    options.config.role = Role::client;
  else if (value == "server" || value == "master")
    options.config.role = Role::server;
  else
    refuse(value, "client or server");
}

void set_mode(PortOptions& options, std::string_view value) {
  if (value == "ethernet")
    options.config.mode = Mode::ethernet;
  else if (value == "ip")
    options.config.mode = Mode::ip;
  else if (value == "punt" || value == "punt-inject")
    options.config.mode = Mode::punt_inject;
  else
    refuse(value, "ethernet, ip or punt");
}

void set_rx_mode(PortOptions& options, std::string_view value) {
  if (value == "polling")
    options.config.rx_mode = RxMode::polling;
  else if (value == "interrupt")
    options.config.rx_mode = RxMode::interrupt;
  else if (value == "adaptive")
    options.config.rx_mode = RxMode::adaptive;
  else
    refuse(value, "polling, interrupt or adaptive");
}

// The first line of the file, so that an editor's newline is not part of the secret.
void set_secret_file(PortOptions& options, std::string_view value) {
  const std::string path(value);
  errno = 0;
  std::ifstream file(path);
  if (file && std::getline(file, options.config.secret) && !options.config.secret.empty()) return;
  throw UsageError(fmt::format("cannot read a secret from {}: {}", path,
                               errno != 0 ? std::strerror(errno) : "its first line is empty"));
}

void set_rx_queues(PortOptions& options, std::string_view value) {
  options.config.rx_queues = static_cast<std::uint16_t>(parse_number(value, 1, max_queues));
  options.rx_queues_set = true;
}

void set_tx_queues(PortOptions& options, std::string_view value) {
  options.config.tx_queues = static_cast<std::uint16_t>(parse_number(value, 1, max_queues));
  options.tx_queues_set = true;
}

void set_wait(PortOptions& options, std::string_view value) {
  options.wait.reset();
  if (value != "forever") options.wait = parse_duration(value);
}

void set_reconnect(PortOptions& options, std::string_view value) {
  options.reconnect = value != "false" && value != "no";
  if (!options.reconnect || value == "true" || value == "yes") return;
  options.config.reconnect = std::chrono::ceil<milliseconds>(parse_duration(value));
  if (options.config.reconnect <= milliseconds(0)) refuse(value, "a period longer than 0");
}

// One row serves the option and the key of the one-word form.
struct Setting {
  const char* key;     // in a word
  const char* option;  // with its other names, as CLI11 has them
  const char* value;   // what the help calls it
  const char* help;
  void (*set)(PortOptions&, std::string_view);
  std::string (*preset)(const PortOptions&) = nullptr;  // what it is unless it is set
};

constexpr std::array settings{
    Setting{"socket", "--socket", "PATH",
            "socket of the listener: a path, or abstract:NAME[,netns_name=NS] for an abstract one (memif(7) has all "
            "forms); "
            "needs write permission as a client, and write permission for its directory as a server",
            [](PortOptions& o, std::string_view v) { o.config.socket = v; },
            [](const PortOptions& o) { return o.config.socket; }},
    Setting{"id", "--id", "N", "number of the interface on the socket",
            [](PortOptions& o, std::string_view v) {
              o.config.id = static_cast<std::uint32_t>(parse_number(v, 0, std::numeric_limits<std::uint32_t>::max()));
            },
            [](const PortOptions& o) { return std::to_string(o.config.id); }},
    Setting{"role", "--role", "client|server", "client (slave): connects; server (master): listens", set_role,
            [](const PortOptions& o) { return std::string(o.config.role == Role::client ? "client" : "server"); }},
    Setting{"mode", "--mode", "ethernet|ip|punt", "what a packet is: ethernet, ip or punt; the same on both sides",
            set_mode, [](const PortOptions&) { return std::string("ethernet"); }},
    Setting{"secret", "--secret", "TEXT", "at most 24 bytes; other users can see it in the process list",
            [](PortOptions& o, std::string_view v) { o.config.secret = v; }},
    Setting{"secret-file", "--secret-file", "FILE", "a file whose first line is the secret", set_secret_file},
    Setting{
        "queues", "--queues", "N",
        "queues each way, 1 to 256: a client asks for as many, and settles for those that the server takes (servers of "
        "libmemif before 4.0 do not survive to be asked for more than they have); a server takes as many at most",
        [](PortOptions& o, std::string_view v) {
          set_rx_queues(o, v);
          set_tx_queues(o, v);
        },
        [](const PortOptions&) { return std::string("a client 1, a server as many as its client brings"); }},
    Setting{"rx-queues", "--rx-queues", "N", "queues to receive from, where they are not as many as those to send to",
            set_rx_queues},
    Setting{"tx-queues", "--tx-queues", "N", "queues to send to", set_tx_queues},
    Setting{"ring", "--ring-size", "N", "descriptors a ring, a power of two from 2 to 16384 (a client's choice)",
            [](PortOptions& o, std::string_view v) {
              o.config.ring_size = static_cast<std::uint32_t>(parse_number(v, 2, 16384));
            },
            [](const PortOptions& o) { return std::to_string(o.config.ring_size); }},
    Setting{"buffer", "--buffer-size", "SIZE", "bytes a packet buffer (a client's choice)",
            [](PortOptions& o, std::string_view v) {
              const std::uint64_t size = parse_size(v);
              if (size > (1u << 20)) refuse(v, "64 bytes to 1 MiB");
              o.config.buffer_size = static_cast<std::uint32_t>(size);
            },
            [](const PortOptions& o) { return std::to_string(o.config.buffer_size); }},
    Setting{"max-packet", "--max-packet", "SIZE",
            "bytes of the longest packet to take; longer ones are dropped and counted",
            [](PortOptions& o, std::string_view v) {
              const std::uint64_t size = parse_size(v);
              if (size > (1u << 28)) refuse(v, "1 byte to 256 MiB");
              o.config.max_packet = static_cast<std::uint32_t>(size);
            },
            [](const PortOptions& o) { return std::to_string(o.config.max_packet); }},
    Setting{"max-peer-memory", "--max-peer-memory", "SIZE",
            "bytes that the memory of a peer may come to (as a server): this process may have to pay for all of it",
            [](PortOptions& o, std::string_view v) { o.config.max_peer_memory = parse_size(v); },
            [](const PortOptions& o) { return fmt::format("{}GiB", o.config.max_peer_memory >> 30); }},
    Setting{"wait", "--wait", "DURATION", "how long to wait for the peer, or 'forever'", set_wait,
            [](const PortOptions& o) { return o.wait ? format_duration(*o.wait) : "forever"; }},
    Setting{"rx-mode", "--rx-mode", "polling|interrupt|adaptive", "how to wait for packets", set_rx_mode,
            [](const PortOptions&) { return std::string("adaptive"); }},
    Setting{"name", "--name", "NAME", "name of the interface, told to the peer (default: memif/ID)",
            [](PortOptions& o, std::string_view v) { o.config.name = v; }},
};

// The key of a setting, by either of its names; nullptr for an unknown one.
const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : settings)
    if (key == setting.key || key == std::string_view(setting.option).substr(2)) return &setting;
  return nullptr;
}

// Errors of `set` with the name of what was set in front.
void apply(void (*set)(PortOptions&, std::string_view), PortOptions& options, std::string_view name,
           std::string_view value) {
  try {
    set(options, value);
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", name, error.what()));
  }
}

void apply_pair(std::string_view pair, PortOptions& options) {
  const std::size_t equals = pair.find('=');
  const std::string_view key = pair.substr(0, equals);
  if (key == "reconnect" && equals == std::string_view::npos) {
    options.reconnect = true;
    return;
  }
  if (equals == std::string_view::npos) throw UsageError(fmt::format("'{}' is not key=value", pair));
  const std::string_view value = pair.substr(equals + 1);
  if (key == "netns_name" || key == "netns_pid") {
    if (!options.config.socket.starts_with('@') && !options.config.socket.starts_with("abstract:"))
      throw UsageError(
          fmt::format("{} is for abstract sockets (abstract:NAME or @NAME), not for {}", key, options.config.socket));
    options.config.socket += fmt::format(",{}={}", key, value);
  } else if (key == "reconnect") {
    apply(set_reconnect, options, key, value);
  } else if (const Setting* setting = find_setting(key)) {
    apply(setting->set, options, key, value);
  } else {
    throw UsageError(fmt::format("a port has no '{}'", key));
  }
}

constexpr auto port_group = "Port";
constexpr auto port_value = "memif:PATH,id=N,role=ROLE,...";
constexpr auto port_help = "the port in one word; its keys are those of the options below";

using Apply = std::function<void(PortOptions&)>;  // what an option does to a port

// All options but --port, which are those of `preset` unless they are given. `each` calls what it is given for the
// ports that the options are about.
void add_settings(Command app, const PortOptions& preset, const std::function<void(const Apply&)>& each) {
  for (const Setting& setting : settings) {
    const auto set = [each, &setting](const std::string& value) {
      each([&](PortOptions& port) { apply(setting.set, port, setting.option, value); });
    };
    app.add_option_function<std::string>(setting.option, set, setting.help)
        .type_name(setting.value)
        .default_str(setting.preset != nullptr ? setting.preset(preset) : std::string())
        .group(port_group);
  }
  const std::string help = "wait for the peer to return when it is gone; --reconnect=PERIOD: try so often";
  Option reconnect = app.add_flag("--reconnect", help);
  reconnect.group(port_group);
  reconnect.check([each](const std::string& value) {
    each([&](PortOptions& port) { apply(set_reconnect, port, "--reconnect", value); });
    return std::string();
  });
}

}  // namespace

void apply_port_word(std::string_view word, PortOptions& options) {
  constexpr std::string_view scheme = "memif:";
  std::string_view rest = word;
  if (!rest.starts_with(scheme)) throw UsageError(fmt::format("'{}' is not memif:PATH[,key=value...]", word));
  rest.remove_prefix(scheme.size());
  try {
    for (bool first = true; first || !rest.empty(); first = false) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view part = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (!first)
        apply_pair(part, options);
      else if (part.empty())
        throw UsageError("the socket's path is missing");
      else
        options.config.socket = part;
    }
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", word, error.what()));
  }
}

PortOptions parse_port_word(std::string_view word) {
  PortOptions options;
  apply_port_word(word, options);
  check_port(options);
  return options;
}

void add_port_options(Command app, PortOptions& options) {
  app.add_option_function<std::string>(
         "--port", [&options](const std::string& word) { apply_port_word(word, options); }, port_help)
      .type_name(port_value)
      .group(port_group);
  add_settings(app, options, [&options](const Apply& change) { change(options); });
}

void add_port_options(Command app, std::vector<PortOptions>& ports) {
  app.add_option_function<std::vector<std::string>>(
         "--port",
         [&ports](const std::vector<std::string>& words) {
           ports.resize(words.size(), ports.front());
           for (std::size_t i = 0; i < words.size(); ++i) apply_port_word(words[i], ports[i]);
         },
         std::string(port_help) + "; may be given several times")
      .one_value_each()
      .type_name(port_value)
      .group(port_group);
  add_settings(app, ports.front(), [&ports](const Apply& change) {
    for (PortOptions& port : ports) change(port);
  });
}

void check_port(const PortOptions& options) {
  if (const auto status = validate(options.config); !status) throw UsageError(status.error().message);
}

memif::InterfaceConfig interface_config(const PortOptions& options) {
  InterfaceConfig config = options.config;
  if (config.role == Role::client) return config;
  if (!options.rx_queues_set) config.rx_queues = max_queues;
  if (!options.tx_queues_set) config.tx_queues = max_queues;
  return config;
}

std::string port_name(const memif::InterfaceConfig& config) {
  return fmt::format("{} id {}", config.socket, config.id);
}

}  // namespace memif::tool
