#include "listen_socket.hpp"

#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace memif {
namespace {

struct Place {
  std::string directory, name;
};

Place split(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Error cannot(const Address& address, const std::string& why, int error) {
  return system_error(error, "cannot listen on " + address.text + ": " + why);
}

Error in_use(const Address& address, const std::string& by) {
  return {Errc::address_in_use, address.text + " is in use by " + by};
}

// A descriptor of the directory that can name files in it, and be locked if the directory may be read.
struct Directory {
  Fd fd;
  bool lockable = false;
};

Result<Directory> open_directory(const Address& address, const std::string& path) {
  Directory directory{Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), true};
  if (!directory.fd && errno == EACCES) {
    directory = {Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), false};
  }
  if (directory.fd) return directory;
  const int error = errno;
  const char* const why = error == ENOENT    ? "there is no directory "
                          : error == ENOTDIR ? "not a directory: "
                                             : "cannot open directory ";
  return cannot(address, why + path, error);
}

// Keeps other processes that open sockets in this directory from seeing ours bound but not listening yet, which looks
// like a leftover, and from replacing the same leftover as we do. Anyone who may read the directory can hold this lock
// for ever, so waiting has an end: without it a free name is bound all the same, but nothing is ever replaced.
bool lock(const Directory& directory) {
  if (!directory.lockable) return false;
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (::flock(directory.fd.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    ::poll(nullptr, 0, 10);
  }
  return false;
}

// "a live listener (pid 12)": whoever has the socket at the other end of a connection.
std::string listener_words(int connected) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid <= 0) {
    return "a live listener";
  }
  return "a live listener (pid " + std::to_string(credentials.pid) + ")";
}

// Knocks at a socket that is in the way. Nothing: nobody is there.
std::optional<Error> find_listener(const Address& address) {
  Result<Fd> probe = open_socket(address);
  if (!probe) return probe.error();
  const SocketAddress target = to_sockaddr(address);
  if (::connect(probe->get(), target.get(), target.length) == 0) return in_use(address, listener_words(probe->get()));
  switch (const int error = errno; error) {
    case ECONNREFUSED:
    case ENOENT:
      return std::nullopt;  // gone meanwhile is as good
    case EAGAIN:
      return in_use(address, "a live listener (its backlog is full)");
    case EPROTOTYPE:
      return in_use(address, "a live socket of another type than SOCK_SEQPACKET");
    default:
      return cannot(address, "a socket file is there and whether it is in use cannot be found out", error);
  }
}

// Makes way for bind() where that is safe: a socket file that nobody listens on any more.
Status remove_leftover(const Address& address, const Directory& directory, const std::string& name, bool locked) {
  struct stat status;
  if (::fstatat(directory.fd.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Nothing{};
    return cannot(address, "cannot look at what is there", errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Error{Errc::not_a_socket,
                 "cannot listen on " + address.text + ": it is " + file_kind(status.st_mode) + ", not a socket"};
  }
  if (std::optional<Error> error = find_listener(address)) return std::move(*error);
  if (!locked) {
    return in_use(address,
                  "a leftover socket file, which cannot be replaced safely because its directory cannot be locked");
  }
  if (::unlinkat(directory.fd.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return cannot(address, "cannot remove the leftover socket file", errno);
  }
  return Nothing{};
}

Error bind_error(const Address& address, const std::string& directory, int error) {
  if (error == EACCES || error == EPERM)
    return cannot(address, "no permission to create a file in " + directory, error);
  return cannot(address, "bind", error);
}

Status bind_to(const Fd& fd, const Address& address, const Directory& directory, const Place& place, bool locked) {
  const SocketAddress target = to_sockaddr(address);
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (::bind(fd.get(), target.get(), target.length) == 0) return Nothing{};
    if (errno != EADDRINUSE) return bind_error(address, place.directory, errno);
    if (Status status = remove_leftover(address, directory, place.name, locked); !status) return status;
  }
  return in_use(address, "another process");
}

}  // namespace

Status ListenSocket::File::remember(const Address& address) {
  struct stat status;
  if (::fstatat(directory_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return cannot(address, "the new socket file vanished", errno);
  }
  device_ = status.st_dev;
  inode_ = status.st_ino;
  owner_ = ::getpid();
  return Nothing{};
}

// Owner before mode, so that the wider mode never meets the wrong owner.
Status ListenSocket::File::set_access(const Address& address, const SocketFile& wanted) {
  if (wanted.owner || wanted.group) {
    const uid_t owner = wanted.owner.value_or(static_cast<uid_t>(-1));
    const gid_t group = wanted.group.value_or(static_cast<gid_t>(-1));
    if (::fchownat(directory_.get(), name_.c_str(), owner, group, AT_SYMLINK_NOFOLLOW) != 0) {
      return cannot(address, "cannot set the owner or group of the socket file", errno);
    }
  }
  if (wanted.mode && ::fchmodat(directory_.get(), name_.c_str(), *wanted.mode, AT_SYMLINK_NOFOLLOW) != 0) {
    return cannot(address, "cannot set the mode of the socket file", errno);
  }
  return Nothing{};
}

// While our socket is open it holds its inode, whose number nobody else can have got.
void ListenSocket::File::unlink() noexcept {
  struct stat status;
  if (!directory_ || owner_ != ::getpid()) return;
  if (::fstatat(directory_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (status.st_dev == device_ && status.st_ino == inode_) ::unlinkat(directory_.get(), name_.c_str(), 0);
}

Result<ListenSocket> ListenSocket::open(const Address& address, const SocketFile& file) {
  return address.abstract ? open_abstract(address, file) : open_path(address, file);
}

Result<ListenSocket> ListenSocket::open_abstract(const Address& address, const SocketFile& file) {
  if (file.mode || file.owner || file.group) {
    return Error{Errc::invalid_config,
                 address.text + ": an abstract socket has no file, so no mode, owner or group either"};
  }
  Result<Fd> fd = open_socket(address);
  if (!fd) return fd.error();
  const SocketAddress target = to_sockaddr(address);
  if (::bind(fd->get(), target.get(), target.length) != 0) {
    const int error = errno;
    if (error != EADDRINUSE) return cannot(address, "bind", error);
    std::optional<Error> found = find_listener(address);
    return found ? std::move(*found) : in_use(address, "a socket that does not listen");
  }
  if (::listen(fd->get(), SOMAXCONN) != 0) return cannot(address, "listen", errno);
  return ListenSocket(std::move(*fd), File());
}

Result<ListenSocket> ListenSocket::open_path(const Address& address, const SocketFile& file) {
  Place place = split(address.name);
  Result<Directory> directory = open_directory(address, place.directory);
  if (!directory) return directory.error();
  const bool locked = lock(*directory);
  Result<Fd> fd = open_socket(address);
  if (!fd) return fd.error();
  // bind() makes the file with the mode that the socket has. It is for its first owner only until set_access().
  if (file.mode && ::fchmod(fd->get(), *file.mode & mode_t{0700}) != 0) return cannot(address, "fchmod", errno);
  if (Status status = bind_to(*fd, address, *directory, place, locked); !status) return status.error();

  // From here on the destructor cleans up; nothing since bind() asked for memory. Nobody can connect before listen().
  ListenSocket socket(std::move(*fd), File(std::move(directory->fd), std::move(place.name)));
  if (Status status = socket.file_.remember(address); !status) return status.error();
  if (Status status = socket.file_.set_access(address, file); !status) return status.error();
  if (::listen(socket.fd(), SOMAXCONN) != 0) return cannot(address, "listen", errno);
  if (locked) ::flock(socket.file_.directory(), LOCK_UN);
  return socket;
}

Result<ListenSocket> ListenSocket::adopt(const Address& address, Fd fd) {
  const auto option = [&](int name) {
    int value = -1;
    socklen_t length = sizeof value;
    return ::getsockopt(fd.get(), SOL_SOCKET, name, &value, &length) == 0 ? value : -1;
  };
  const std::string what = "cannot adopt a listener for " + address.text + ": ";
  const int domain = option(SO_DOMAIN);
  if (domain < 0) return Error{Errc::not_a_socket, what + "the file descriptor is not a socket"};
  if (domain != AF_UNIX) return Error{Errc::invalid_config, what + "it is not a UNIX socket"};
  if (option(SO_TYPE) != SOCK_SEQPACKET) return Error{Errc::invalid_config, what + "it is not of type SOCK_SEQPACKET"};
  if (option(SO_ACCEPTCONN) != 1) return Error{Errc::invalid_config, what + "it does not listen"};
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0) {
    return system_error(errno, what + "fcntl");
  }
  return ListenSocket(std::move(fd), File());
}

Result<Fd> ListenSocket::accept() {
  int fd;
  do {
    fd = ::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return system_error(errno, "accept");
  return Fd(fd);
}

}  // namespace memif
