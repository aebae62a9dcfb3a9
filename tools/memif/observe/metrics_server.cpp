#include "observe/metrics_server.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <memory>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <utility>

#include <memif/fd.hpp>

#include "common/command.hpp"
#include "common/output.hpp"

namespace memif::tool {
namespace {

constexpr unsigned most_connections = 32, idle_seconds = 10;
constexpr std::size_t connection_memory = 16 << 10;

// getaddrinfo() takes a number that is too large for another one.
bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size();
}

// Numbers only: no name server is asked.
addrinfo* resolve(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  if (colon != std::string::npos && colon != 0 && colon + 1 != address.size()) {
    std::string host = address.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (is_port(std::string_view(address).substr(colon + 1)) &&
        ::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) == 0)
      return found;
  }
  throw UsageError(fmt::format("--listen: '{}' is not ADDRESS:PORT in numbers, such as 127.0.0.1:9728", address));
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET)
    return ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24 == 127;
  return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

// "127.0.0.1:9728": what the socket was bound to.
std::string bound_address(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      ::getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "?";
  return address.ss_family == AF_INET6 ? fmt::format("[{}]:{}", host.data(), port.data())
                                       : fmt::format("{}:{}", host.data(), port.data());
}

Fd listen_on(const std::string& text, const addrinfo& address) {
  Fd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0 || ::listen(fd.get(), SOMAXCONN) != 0)
    throw Failure(exit_failed, fmt::format("cannot listen on {}: {}", text, std::strerror(errno)));
  return fd;
}

MHD_Result respond(MHD_Connection* connection, unsigned status, const std::string& body) {
  MHD_Response* const response =
      MHD_create_response_from_buffer(body.size(), const_cast<char*>(body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                          status == MHD_HTTP_OK ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain");
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  const MHD_Result queued = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

// Answers when the headers are there: nobody's upload is waited for.
MHD_Result handle(void* self, MHD_Connection* connection, const char* url, const char* method, const char*, const char*,
                  std::size_t*, void**) {
  const std::string_view verb = method;
  try {
    if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD)
      return respond(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (std::string_view(url) != "/metrics") return respond(connection, MHD_HTTP_NOT_FOUND, "see /metrics\n");
    return respond(connection, MHD_HTTP_OK, static_cast<const MetricsServer*>(self)->document());
  } catch (const std::exception& error) {  // none may cross the C library
    notice(error.what());
    return respond(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the programs cannot be observed now\n");
  }
}

}  // namespace

MetricsServer::MetricsServer(const std::string& address, std::function<std::string()> document)
    : document_(std::move(document)) {
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> resolved(resolve(address), &::freeaddrinfo);
  Fd listening = listen_on(address, *resolved);
  loopback_ = is_loopback(resolved->ai_addr);
  bound_ = bound_address(listening.get());
  // Not MHD_USE_EPOLL: that is edge-triggered, and overlooks a client that goes with half a request sent.
  daemon_ = MHD_start_daemon(MHD_NO_FLAG, 0, nullptr, nullptr, &handle, this,  //
                             MHD_OPTION_LISTEN_SOCKET, listening.get(),        //
                             MHD_OPTION_CONNECTION_LIMIT, most_connections,    //
                             MHD_OPTION_CONNECTION_TIMEOUT, idle_seconds,      //
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_END);
  if (daemon_ == nullptr) throw Failure(exit_failed, fmt::format("cannot serve HTTP on {}", bound_));
  static_cast<void>(listening.release());  // the daemon closes it
}

MetricsServer::~MetricsServer() { MHD_stop_daemon(daemon_); }

void MetricsServer::watch(std::vector<pollfd>& fds) const {
  fd_set read, write, except;
  FD_ZERO(&read);
  FD_ZERO(&write);
  FD_ZERO(&except);
  MHD_socket last = -1;
  MHD_get_fdset(daemon_, &read, &write, &except, &last);
  for (int fd = 0; fd <= last; ++fd) {
    const int events = (FD_ISSET(fd, &read) ? POLLIN : 0) | (FD_ISSET(fd, &write) ? POLLOUT : 0);
    if (events != 0) fds.push_back({fd, static_cast<short>(events), 0});
  }
}

std::optional<std::chrono::milliseconds> MetricsServer::run_within() const {
  MHD_UNSIGNED_LONG_LONG milliseconds = 0;
  if (MHD_get_timeout(daemon_, &milliseconds) != MHD_YES) return std::nullopt;
  return std::chrono::milliseconds(milliseconds);
}

void MetricsServer::run() { MHD_run(daemon_); }

}  // namespace memif::tool
