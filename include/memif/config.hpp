// The configuration of contexts and interfaces, with every default and every limit.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <memif/error.hpp>
#include <memif/fd.hpp>

namespace memif {

class Interface;
class EventLoop;
class Pool;

enum class Role : std::uint8_t { client, server };
enum class Mode : std::uint8_t { ethernet = 0, ip = 1, punt_inject = 2 };

inline constexpr std::uint16_t max_queues = 256;  // each way; docs/protocol.md, "HELLO"

// How a receiver waits. polling never makes a system call and never asks for interrupts; interrupt sleeps at once;
// adaptive spins for a while and then sleeps; it spins for a shorter time, down to none, where packets come further
// apart.
enum class RxMode : std::uint8_t { polling, interrupt, adaptive };

// Static texts, such as "client"; "unknown" for a value that the type does not have.
const char* to_string(Role role) noexcept;
const char* to_string(Mode mode) noexcept;
const char* to_string(RxMode mode) noexcept;

// The application's memory for the packet buffers of a client: a file (memfd, hugetlbfs, shm) mapped whole. memifpp
// maps the file as well. It duplicates `fd` when the interface is added; `fd` stays the caller's. The buffers lie one
// after the other without gaps.
struct ExternalMemory {
  int fd = -1;
  std::uint64_t size = 0;    // bytes; the file must be at least this long
  std::uint64_t offset = 0;  // of the first buffer, bytes, a multiple of 64
};

// Memory that the application maps itself. The hooks run when a link is set up, on the control thread, except
// release(), which runs where the last use ends: that may be the thread of a queue. They must not throw.
struct MemoryHooks {
  struct Mapped {
    std::byte* data = nullptr;
    int fd = -1;  // of the memory file; memifpp neither duplicates nor closes it
  };
  // Client, for each new link: memory of `bytes` for its buffers; without data, the link is refused.
  std::function<Mapped(std::uint64_t bytes)> provide{};
  // Server, for each region of a peer but the first, which has the rings: returns the address at which the application
  // has mapped it; nullptr refuses the link. memifpp closes `fd` unless there is a release(). When the peer shrinks its
  // file while it is in use, memifpp maps zero pages in place of the lost ones: unmap the region all the same.
  std::function<std::byte*(std::uint64_t bytes, int fd)> map{};
  // Nothing uses the memory any more. The fd is the application's to close.
  std::function<void(std::byte* data, std::uint64_t bytes, int fd)> release{};
  // Client: the application places each buffer, with RawRx::place() and RawTx::place(); `headroom` must be 0 then.
  bool placed = false;
};

// Mode and owner of a listener's socket file. They are set before the socket accepts anyone; the mode is never wider
// than asked for.
struct SocketFile {
  std::optional<mode_t> mode{};  // permission bits, at most 0777; default: 0777 less the umask
  std::optional<uid_t> owner{};
  std::optional<gid_t> group{};
};

struct InterfaceConfig {
  // A path of at most 107 bytes, also written "unix:PATH"; a relative path is looked up once, when the interface is
  // added, whatever chdir() does later. Or "abstract:NAME", also written "@NAME", for an abstract socket; with
  // ",netns_name=NS" or ",netns_pid=PID" behind it, in another network namespace: one of /run/netns, or the path of
  // one.
  std::string socket = "/run/vpp/memif.sock";
  std::uint32_t id = 0;
  Role role = Role::client;
  Mode mode = Mode::ethernet;
  std::string secret{};  // at most 24 bytes; empty: none
  // Told to the peer, at most 32 bytes. Default: "memif/<id>", or "memif1/<id>", "memif2/<id>" and so on where an
  // interface of this context has that name already.
  std::string name{};

  // 1..256 each. A client asks for so many rings, and settles for fewer; a server takes at most so many.
  // Interface::rx_rings() and tx_rings() tell how many there are.
  std::uint16_t rx_queues = 1;
  std::uint16_t tx_queues = 1;

  std::uint32_t ring_size = 1024;    // client: descriptors a ring, a power of two from 2 to 16384
  std::uint32_t buffer_size = 2048;  // client: bytes a packet buffer, 1..1 MiB
  std::uint32_t headroom = 0;        // client: bytes left free before each received packet, less than buffer_size

  // Bytes, 1 to 256 MiB. A longer packet that comes is dropped: if a peer chains all its memory together, copying that
  // packet takes half a minute. The default is twice the largest packet that any network stack makes.
  std::uint32_t max_packet = 1 << 20;

  RxMode rx_mode = RxMode::adaptive;
  std::chrono::microseconds spin{50};  // adaptive: how long to spin at most before sleeping; 0 to 24 h

  // 0 to 24 h. A client tries at once, then backs off up to this period. 0: it does not try again by itself, only when
  // connect() is called.
  std::chrono::milliseconds reconnect{2000};
  std::chrono::milliseconds handshake_timeout{5000};  // 1 ms to 24 h

  bool huge_pages = false;   // client: 2 MiB pages; falls back to ordinary ones with a warning in the log
  bool prefault = false;     // client: touch all memory when connecting, so that no page fault hits the data path
  bool post_buffers = true;  // client: post all receive buffers when the link comes up (off: RawRx::release() posts)
  // Client: the buffers are taken from this pool, whose peers all map it: memif/pool.hpp. `buffer_size` must be its
  // own.
  std::shared_ptr<Pool> pool{};
  std::optional<ExternalMemory> memory{};
  std::shared_ptr<const MemoryHooks> memory_hooks{};

  bool require_sealed_memory = false;  // server: refuse regions that the peer could shrink
  // Server: limit on the bytes of all regions of the peer together; at least 4096. Of each region, the part that
  // descriptors reach (8 GiB) counts. Pages are charged to whoever touches them first, so a peer can make this process
  // pay for all of them. docs/security.md, "Memory"
  std::uint64_t max_peer_memory = std::uint64_t{32} << 30;
  std::vector<uid_t> allowed_users{};   // peers of other users are refused; empty: anyone who may open the socket
  std::vector<gid_t> allowed_groups{};  // likewise for the peer's primary group; with both lists, one match is enough

  SocketFile socket_file{};  // server: for the listener that the first interface on a socket creates

  // Called on the control thread, from Context::poll(), handle() or handle_timer(); the last two also from
  // Interface::disconnect(). They may do anything, also remove this or any other interface. on_disconnected is called
  // only for a link that was up. on_refused is called for each peer that was met and did not become a link: one side
  // refused the other, left, or took too long; not for a client that finds nobody. Neither is called from
  // Context::remove().
  std::function<void(Interface&)> on_connected{};
  std::function<void(Interface&, const Reason&)> on_disconnected{};
  std::function<void(Interface&, const Reason&)> on_refused{};
};

// Checks every field that can be checked without touching the system; the Error's message names the field, the value
// and the range. For any thread.
Status validate(const InterfaceConfig& config);

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct ContextConfig {
  std::string app_name = "memifpp";                       // told to peers, at most 32 bytes
  std::function<void(LogLevel, std::string_view)> log{};  // default: silence
  // Lets observers (memif/observe.hpp, memif top) of this user and of root see the interfaces, and nobody else.
  // docs/observing.md
  bool publish = false;
  EventLoop* loop = nullptr;  // default: the built-in epoll loop; else must outlive the context
  // Unidentified connections that a listener keeps: they have not said for which interface they are. Beyond that the
  // oldest is dropped.
  unsigned max_unidentified_connections = 256;
};

}  // namespace memif
