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
  std::optional<std::string> netns_name;  // abstract only: a namespace in /run/netns
  std::optional<pid_t> netns_pid;         // abstract only: the network namespace of a process
  std::string text;                       // as the user wrote it (a leading NUL shown as '@'): messages, map keys
};

// "path", "@name", "@name,netns_name=NS" or "@name,netns_pid=PID"; a leading NUL is the same as '@'. Says nothing about
// what exists. Fails with Errc::invalid_config.
Result<Address> parse_address(std::string_view text);

// The kernel's form of an address. `length` counts what the kernel is to see: an abstract name without trailing NULs.
struct SocketAddress {
  sockaddr_un storage{};
  socklen_t length = 0;

  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress to_sockaddr(const Address& address) noexcept;

// A non-blocking SOCK_SEQPACKET socket in the address's network namespace. The calling thread never changes namespace.
Result<Fd> open_socket(const Address& address);

// Connects without blocking: a listener with a full backlog is an error (EAGAIN) like any other. The error's code is
// the errno of the step that failed; its message has a hint for the operator.
Result<Fd> connect_to(const Address& address);

// "a directory", "a regular file", ...: for messages about a path that should be a socket.
const char* file_kind(mode_t mode) noexcept;

}  // namespace memif
