// Where a memif socket is: parsing, and the sockets that go there. docs/protocol.md, "Control channel".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <memif/error.hpp>
#include <memif/fd.hpp>

namespace memif {

// The address of a listener. A plain value.
struct Address {
  bool abstract = false;
  std::string name;                       // the path, or the abstract name without '@' or NUL
  std::optional<std::string> netns_name;  // abstract only: a namespace in /run/netns, or the path of one
  std::optional<pid_t> netns_pid;         // abstract only: the network namespace of a process
  std::string text;                       // as the user wrote it (a leading NUL shown as '@'), for messages
  std::string key;                        // the same for each way to write this socket
};

// "PATH" or "unix:PATH"; "@NAME" or "abstract:NAME", either with ",netns_name=NS" or ",netns_pid=PID"; a leading NUL is
// the same as '@'. NS is a name, an absolute path or "pid:PID". Says nothing about what exists. Fails with
// Errc::invalid_config. docs/protocol.md, "The socket's name".
Result<Address> parse_address(std::string_view text);

// A relative path made absolute, so that it means the same file after chdir(). Any other address as it is.
Address anchored(Address address);

// The kernel's form of an address. `length` counts what the kernel is to see: an abstract name without trailing NULs.
struct SocketAddress {
  sockaddr_un storage{};
  socklen_t length = 0;
  Fd directory{};  // what a path too long for the kernel goes through; open while the address is used

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};
// A path of at most 107 bytes, or an abstract name.
SocketAddress to_sockaddr(const Address& address) noexcept;
// Any path that anchored() makes.
Result<SocketAddress> reach(const Address& address);

// A non-blocking SOCK_SEQPACKET socket in the address's network namespace. The calling thread never changes namespace.
Result<Fd> open_socket(const Address& address);

// Connects without blocking: a listener with a full backlog is an error (EAGAIN) like any other. The error's code is
// the errno of the step that failed; its message has a hint for the operator.
Result<Fd> connect_to(const Address& address);

// Whether a process has the socket whose file this is; a leftover has no owner. Whoever listens there notices nothing.
Result<bool> is_alive(const Address& file);

// What tells the listener that an address leads to now from another that may lie there later: a file can be replaced.
// Empty: there is none to be found.
std::string listener_at(const Address& address);

// A file in an open directory, by that directory's descriptor, which must stay open: whatever has the directory's name
// by now.
SocketAddress in_directory(int directory, const char* name) noexcept;
// Whether a socket file in an open directory surely has no owner. Asked as is_alive() does.
bool is_leftover(int directory, const char* name) noexcept;

// "a directory", "a regular file", ...: for messages about a path that should be a socket.
const char* file_kind(mode_t mode) noexcept;

}  // namespace memif
