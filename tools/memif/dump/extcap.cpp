// memif-extcap: memif as a capture interface of Wireshark and tshark, which run this program from their extcap
// directory. What they ask and what they expect is in extcap(4). An own program, since they find such programs by their
// place.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

#include <memif/memif.hpp>

#include "common/command.hpp"
#include "common/options.hpp"
#include "common/output.hpp"
#include "common/program.hpp"
#include "common/session.hpp"
#include "dump/dump.hpp"

namespace {

using namespace memif::tool;
using namespace std::chrono_literals;

constexpr auto interface_name = "memif";
constexpr auto help_page = "https://www.wireshark.org/docs/man-pages/extcap.html";

struct Extcap {
  bool interfaces = false, dlts = false, config = false, capture = false;
  std::string version, interface, fifo, filter, reload;
  std::vector<PortOptions> ports = std::vector<PortOptions>(1);
};

void print_interfaces() {
  print_line(fmt::format("extcap {{version=" MEMIF_VERSION "}}{{display=memif}}{{help={}}}", help_page));
  print_line(
      fmt::format("interface {{value={}}}{{display=memif: packets of VPP, DPDK and others through shared memory}}",
                  interface_name));
}

// One for each mode. The capture itself says which it is.
void print_dlts() {
  print_line("dlt {number=1}{name=EN10MB}{display=Ethernet (mode ethernet)}");
  print_line("dlt {number=12}{name=RAW}{display=IP (mode ip)}");
  print_line("dlt {number=147}{name=USER0}{display=punt/inject (mode punt)}");
}

// A question that Wireshark asks before a capture: an option of this program.
struct Question {
  const char* option;
  const char* display;
  const char* tooltip;
  const char* type;  // as extcap(4) has them, with what belongs to the type
};

constexpr std::array questions{
    Question{"--socket", "Socket", "A path, or abstract:NAME for an abstract socket",
             "string}{default=/run/vpp/memif.sock"},
    Question{"--id", "Interface id", "Number of the interface on the socket",
             "unsigned}{range=0,4294967295}{default=0"},
    Question{"--role", "Role", "The other side has the other role", "selector"},
    Question{"--mode", "Mode", "What a packet is; the same on both sides", "selector"},
    Question{"--secret", "Secret", "At most 24 bytes", "password"},
    Question{"--secret-file", "Secret from a file", "A file whose first line is the secret",
             "fileselect}{mustexist=true"},
    Question{"--queues", "Queues", "Each way; if left empty, a client has 1, and a server what its client brings",
             "unsigned}{range=1,256"},
    Question{"--ring-size", "Ring size", "Descriptors, a power of two (a client's choice)",
             "unsigned}{range=2,16384}{default=1024"},
    Question{"--buffer-size", "Buffer size", "Bytes (a client's choice)", "unsigned}{range=1,1048576}{default=2048"},
    Question{"--wait", "Wait for the peer", "A duration such as 5s, or forever", "string}{default=forever"},
};

void print_config() {
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question& q = questions[i];
    print_line(fmt::format("arg {{number={}}}{{call={}}}{{display={}}}{{tooltip={}}}{{type={}}}", i, q.option,
                           q.display, q.tooltip, q.type));
    if (q.option == std::string_view("--role")) {
      print_line(
          fmt::format("value {{arg={}}}{{value=client}}{{display=client (slave): connects}}{{default=true}}", i));
      print_line(
          fmt::format("value {{arg={}}}{{value=server}}{{display=server (master): listens}}{{default=false}}", i));
    } else if (q.option == std::string_view("--mode")) {
      print_line(fmt::format("value {{arg={}}}{{value=ethernet}}{{display=Ethernet}}{{default=true}}", i));
      print_line(fmt::format("value {{arg={}}}{{value=ip}}{{display=IP}}{{default=false}}", i));
      print_line(fmt::format("value {{arg={}}}{{value=punt}}{{display=punt/inject}}{{default=false}}", i));
    }
  }
}

// A filter that is right is answered by silence; the text of anything else is shown to the user.
void check_filter(const Extcap& extcap) {
  try {
    const Filter compiled(extcap.filter, extcap.ports.front().config.mode);
  } catch (const UsageError& error) {
    print_line(error.what());
  }
}

// Standard output becomes the fifo, once its reader has come. False if a signal came before.
bool open_fifo(const std::string& path) {
  Session session;
  while (!session.stopped()) {
    const memif::Fd fifo(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    if (fifo) {
      const int flags = ::fcntl(fifo.get(), F_GETFL);
      if (::fcntl(fifo.get(), F_SETFL, flags & ~O_NONBLOCK) == 0 && ::dup2(fifo.get(), STDOUT_FILENO) >= 0) return true;
    }
    if (errno != ENXIO) throw Failure(exit_failed, fmt::format("cannot write to {}: {}", path, std::strerror(errno)));
    session.wait(memif::Clock::now() + 20ms);
  }
  return false;
}

int capture_to_fifo(const Extcap& extcap) {
  if (extcap.fifo.empty()) throw UsageError("--capture needs a --fifo");
  CaptureOptions options;
  options.file = "-";
  options.quiet = true;
  if (!extcap.filter.empty()) options.filter.push_back(extcap.filter);
  if (!open_fifo(extcap.fifo)) return exit_done;
  try {
    return capture(options, extcap.ports, Pass::nothing);
  } catch (const PipeClosed&) {  // that is how Wireshark ends a capture
    return exit_done;
  }
}

int run(const Extcap& extcap) {
  if (extcap.interfaces) {
    print_interfaces();
    return exit_done;
  }
  if (extcap.interface != interface_name)
    throw UsageError(fmt::format("there is no interface '{}', only {}", extcap.interface, interface_name));
  if (extcap.capture) return capture_to_fifo(extcap);
  if (extcap.dlts)
    print_dlts();
  else if (extcap.config)
    print_config();
  else if (!extcap.filter.empty())
    check_filter(extcap);
  else
    throw UsageError("nothing to do");
  return exit_done;
}

void add_options(Command app, Extcap& extcap) {
  app.add_flag("--extcap-interfaces", extcap.interfaces, "list the interfaces");
  app.add_option("--extcap-version", extcap.version, "of Wireshark").expected(0, 1);
  app.add_option("--extcap-interface", extcap.interface, "the interface that is meant: memif");
  app.add_flag("--extcap-dlts", extcap.dlts, "list the link types");
  app.add_flag("--extcap-config", extcap.config, "list the options");
  app.add_option("--extcap-reload-option", extcap.reload, "an option whose values are asked for again");
  app.add_flag("--capture", extcap.capture, "capture to --fifo, until it is closed or SIGTERM comes");
  app.add_option("--fifo", extcap.fifo, "where to");
  app.add_option("--extcap-capture-filter", extcap.filter,
                 "which packets, as in pcap-filter(7); without --capture: check");
  for (PortOptions& port : extcap.ports) {
    port.wait.reset();
    port.reconnect = true;
  }
  add_port_options(app, extcap.ports);
}

int run(int argc, char** argv) {
  set_command_name("memif-extcap");
  CommandLine app("memif-extcap", "memif as an interface of Wireshark and tshark, which run this program.");
  Extcap extcap;
  add_options(app, extcap);
  app.footer("Example: tshark -i memif -o extcap.memif.socket:/tmp/lab.sock");
  if (argc == 1) throw UsageError("this program is run by Wireshark and tshark");
  return app.parse(argc, argv) ? run(extcap) : exit_done;
}

}  // namespace

int main(int argc, char** argv) {
  return run_program([=] { return run(argc, argv); });
}
