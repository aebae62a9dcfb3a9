#include "protocol/address.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sched.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/signals_blocked.hpp"

namespace memif {
namespace {

// One byte of sun_path is kept for the NUL before an abstract name, or after a path (other peers need it).
constexpr std::size_t max_name = sizeof(sockaddr_un::sun_path) - 1;

// A path that is too long becomes this, the number of its directory's descriptor, and the file's name.
constexpr std::string_view through_descriptor = "/proc/self/fd/";
constexpr std::size_t max_file_name = max_name - through_descriptor.size() - sizeof "2147483647";

Error invalid(const std::string& text, const std::string& why) {
  return {Errc::invalid_config, "socket \"" + text + "\": " + why};
}

Status parse_netns_pid(Address& address, std::string_view value) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), pid);
  if (error != std::errc{} || end != value.data() + value.size() || pid <= 0) {
    return invalid(address.text, "netns_pid must be the number of a process, from 1 to " +
                                     std::to_string(std::numeric_limits<pid_t>::max()));
  }
  address.netns_pid = pid;
  return Nothing{};
}

Status parse_netns_name(Address& address, std::string_view value) {
  constexpr std::string_view by_pid = "pid:";
  if (value.starts_with(by_pid)) return parse_netns_pid(address, value.substr(by_pid.size()));
  // A name becomes a file name in /run/netns and must not lead out of it.
  const bool path = value.starts_with('/');
  if (value.empty() || value.find('\0') != value.npos || value == "." || value == ".." ||
      (!path && value.find('/') != value.npos)) {
    return invalid(address.text, "netns_name must be the name of a network namespace, or the path of one, from '/' on");
  }
  address.netns_name = std::string(value);
  return Nothing{};
}

// Takes a network namespace option off the end of an abstract name. Other commas belong to the name.
Status parse_namespace(Address& address, std::string_view& name) {
  constexpr std::string_view by_name = ",netns_name=", by_pid = ",netns_pid=";
  if (const auto at = name.find(by_name); at != name.npos) {
    const auto value = name.substr(at + by_name.size());
    name = name.substr(0, at);
    return parse_netns_name(address, value);
  }
  if (const auto at = name.find(by_pid); at != name.npos) {
    const auto value = name.substr(at + by_pid.size());
    name = name.substr(0, at);
    return parse_netns_pid(address, value);
  }
  return Nothing{};
}

// Takes off the front what says of which kind the address is.
bool take_abstract(std::string_view& text) {
  constexpr std::string_view abstract = "abstract:", path = "unix:";
  const bool is_abstract = text.starts_with('@') || text.starts_with('\0');
  if (is_abstract) text.remove_prefix(1);
  if (is_abstract || !(text.starts_with(abstract) || text.starts_with(path))) return is_abstract;
  const bool by_word = text.starts_with(abstract);
  text.remove_prefix(by_word ? abstract.size() : path.size());
  return by_word;
}

Status check_path(const Address& address, std::string_view path) {
  if (path.empty()) return invalid(address.text, "the path is missing");
  if (path.find('\0') != path.npos)
    return invalid(address.text.substr(0, address.text.find('\0')), "a path must not contain a NUL byte");
  if (path.back() == '/') return invalid(address.text, "a path must end in a file name");
  return Nothing{};
}

Result<Fd> new_socket(const Address& address) {
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return system_error(errno, "cannot create a socket for " + address.text);
  return fd;
}

bool is_path(const std::string& netns_name) { return netns_name.front() == '/'; }

std::string namespace_words(const Address& address) {
  if (address.netns_name) {
    if (is_path(*address.netns_name)) return "network namespace " + *address.netns_name;
    return "network namespace \"" + *address.netns_name + "\"";
  }
  return "the network namespace of process " + std::to_string(*address.netns_pid);
}

std::string namespace_path(const Address& address) {
  if (!address.netns_name) return "/proc/" + std::to_string(*address.netns_pid) + "/ns/net";
  return is_path(*address.netns_name) ? *address.netns_name : "/run/netns/" + *address.netns_name;
}

Result<Fd> open_namespace(const Address& address) {
  const std::string path = namespace_path(address);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd) return fd;
  const int error = errno;
  if (error != ENOENT) return system_error(error, address.text + ": cannot open " + path);
  return Error{std::error_code(error, std::system_category()),
               address.text + ": no such " +
                   (!address.netns_name            ? "process " + std::to_string(*address.netns_pid)
                    : is_path(*address.netns_name) ? namespace_words(address)
                                                   : namespace_words(address) + " (" + path + ")")};
}

// Runs on a thread of its own, whose namespace nobody else sees.
Result<Fd> socket_inside(const Address& address) {
  Result<Fd> target = open_namespace(address);
  if (!target) return target;
  if (::setns(target->get(), CLONE_NEWNET) != 0) {
    const int error = errno;
    std::string what = address.text + ": cannot enter " + namespace_words(address);
    if (error == EPERM) what += " (this needs CAP_SYS_ADMIN)";
    if (error == EINVAL) what += " (that file is no network namespace)";
    return system_error(error, std::move(what));
  }
  return new_socket(address);
}

// Why a connect() was refused, as far as an operator can do something about it.
std::string connect_words(const Address& address, int error) {
  switch (error) {
    case ENOENT:
      return "no such socket (is the server running?)";
    case EACCES:
    case EPERM:
      return "permission denied (needs write permission for the socket and search permission for its directory)";
    case EPROTOTYPE:
      return "its owner speaks another protocol: memif needs a SOCK_SEQPACKET listener, this socket is of another type";
    case EAGAIN:
      return "the listener is busy (its backlog is full)";
    case ECONNREFUSED: {
      struct stat status;
      if (!address.abstract && ::stat(address.name.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) {
        return std::string("it is ") + file_kind(status.st_mode) + ", not a socket";
      }
      return address.abstract ? "nobody listens there (is the server running?)"
                              : "nobody listens there (is the server running? the socket file may be a leftover)";
    }
    default:
      return std::error_code(error, std::system_category()).message();
  }
}

}  // namespace

const char* file_kind(mode_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "a regular file";
    case S_IFDIR:
      return "a directory";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFSOCK:
      return "a socket";
    case S_IFIFO:
      return "a pipe";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    default:
      return "a file of another kind";
  }
}

Result<Address> parse_address(std::string_view text) {
  Address address;
  if (text.empty()) return invalid("", "must not be empty");
  address.text = std::string(text);
  if (text.front() == '\0') address.text.front() = '@';
  address.abstract = take_abstract(text);
  address.key = (address.abstract ? "abstract:" : "unix:") + std::string(text);
  if (address.abstract) {
    if (Status status = parse_namespace(address, text); !status) return status.error();
    if (text.empty()) return invalid(address.text, "an abstract socket needs a name");
  } else if (Status status = check_path(address, text); !status) {
    return status.error();
  }
  if (text.size() > max_name) {
    return invalid(address.text, std::string(address.abstract ? "the name" : "the path") + " is " +
                                     std::to_string(text.size()) + " bytes long, at most " + std::to_string(max_name) +
                                     " are possible");
  }
  address.name = std::string(text);
  return address;
}

// Where the absolute path leads elsewhere, or cannot be had or used, the relative one is all there is.
Address anchored(Address address) {
  if (address.abstract || address.name.starts_with('/')) return address;
  std::array<char, PATH_MAX> directory;
  struct stat here, there;
  if (::getcwd(directory.data(), directory.size()) == nullptr || ::stat(".", &here) != 0 ||
      ::stat(directory.data(), &there) != 0 || here.st_dev != there.st_dev || here.st_ino != there.st_ino)
    return address;
  std::string path = std::string(directory.data()) + "/" + address.name;
  if (path.size() <= max_name || path.size() - path.rfind('/') - 1 <= max_file_name) address.name = std::move(path);
  return address;
}

SocketAddress to_sockaddr(const Address& address) noexcept {
  SocketAddress result;
  result.storage.sun_family = AF_UNIX;
  // An abstract name follows a NUL; a path is followed by one. Both NULs are there already and are counted.
  char* const start = result.storage.sun_path + (address.abstract ? 1 : 0);
  const std::size_t length = std::min(address.name.size(), max_name);
  std::memcpy(start, address.name.data(), length);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length + 1);
  return result;
}

Result<SocketAddress> reach(const Address& address) {
  if (address.abstract || address.name.size() <= max_name) return to_sockaddr(address);
  const auto slash = address.name.rfind('/');
  const std::string directory = address.name.substr(0, slash + 1);
  Fd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return system_error(errno, address.text + ": cannot open directory " + directory);
  Address through;
  through.name = std::string(through_descriptor) + std::to_string(fd.get()) + address.name.substr(slash);
  SocketAddress result = to_sockaddr(through);
  result.directory = std::move(fd);
  return result;
}

Result<Fd> open_socket(const Address& address) {
  if (!address.netns_name && !address.netns_pid) return new_socket(address);
  Result<Fd> result = Error{};
  try {
    std::thread thread;
    {
      const SignalsBlocked blocked;
      thread = std::thread([&] {
        try {
          result = socket_inside(address);
        } catch (...) {
          result = Error{std::make_error_code(std::errc::not_enough_memory), {}};
        }
      });
    }
    thread.join();
  } catch (const std::system_error& error) {
    return Error{error.code(), address.text + ": cannot start a thread to enter the namespace: " + error.what()};
  }
  return result;
}

Result<Fd> connect_to(const Address& address) {
  Result<Fd> fd = open_socket(address);
  if (!fd) return fd;
  const Result<SocketAddress> target = reach(address);
  if (!target) return target.error();
  int done;
  do {
    done = ::connect(fd->get(), target->get(), target->length);
  } while (done != 0 && errno == EINTR);
  if (done == 0) return fd;
  const int error = errno;
  return Error{std::error_code(error, std::system_category()),
               "cannot connect to " + address.text + ": " + connect_words(address, error)};
}

namespace {

enum class Owner { lives, gone, unknown };

// A visitor who connects and leaves at once ends programs of others. A datagram socket is none: connecting it to a
// socket of another type fails, and to one of its own type tells nobody. Unknown: errno says why.
Owner knock_at(const SocketAddress& target) noexcept {
  const Fd knock(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!knock) return Owner::unknown;
  if (::connect(knock.get(), target.get(), target.length) == 0) return Owner::lives;
  if (errno == EPROTOTYPE || errno == EPERM) return Owner::lives;  // EPERM: a datagram socket that talks to another one
  return errno == ECONNREFUSED ? Owner::gone : Owner::unknown;
}

}  // namespace

Result<bool> is_alive(const Address& file) {
  const Result<SocketAddress> target = reach(file);
  if (!target) return target.error();
  const Owner owner = knock_at(*target);
  if (owner == Owner::unknown && errno != ENOENT)  // which is as good as an owner who has gone
    return system_error(errno, file.text + ": cannot find out whether the socket file is in use");
  return owner == Owner::lives;
}

// A file's number is another's soon after it was removed.
std::string listener_at(const Address& address) {
  if (address.abstract) return address.key;
  struct stat file;
  if (::stat(address.name.c_str(), &file) != 0) return {};
  std::string id = "unix:";
  for (const auto part :
       {std::uint64_t{file.st_dev}, std::uint64_t{file.st_ino}, static_cast<std::uint64_t>(file.st_ctim.tv_sec),
        static_cast<std::uint64_t>(file.st_ctim.tv_nsec)})
    id += std::to_string(part) + ':';
  return id;
}

SocketAddress in_directory(int directory, const char* name) noexcept {
  SocketAddress result;
  result.storage.sun_family = AF_UNIX;
  const int length = std::snprintf(result.storage.sun_path, sizeof result.storage.sun_path, "%s%d/%s",
                                   through_descriptor.data(), directory, name);
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path)) + static_cast<socklen_t>(length) + 1;
  return result;
}

bool is_leftover(int directory, const char* name) noexcept {
  return knock_at(in_directory(directory, name)) == Owner::gone;
}

}  // namespace memif
