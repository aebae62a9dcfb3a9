#include "protocol/listen_socket.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/deferred.hpp"

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

Error no_file_in(const Address& address, const std::string& directory, int error) {
  if (error == EACCES || error == EPERM)
    return cannot(address, "no permission to create a file in " + directory, error);
  return cannot(address, "cannot create a file in " + directory, error);
}

Result<Fd> open_directory(const Address& address, const std::string& path) {
  Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory) return directory;
  const int error = errno;
  const char* const why = error == ENOENT    ? "there is no directory "
                          : error == ENOTDIR ? "not a directory: "
                                             : "cannot open directory ";
  return cannot(address, why + path, error);
}

// Of what has the name, only a leftover may be replaced.
Status check_replaceable(const Address& address, int directory, const std::string& name) {
  const FileIdentity there = identify(directory, name.c_str());
  if (there.inode == 0) {
    if (errno == ENOENT) return Nothing{};
    return cannot(address, "cannot look at what is there", errno);
  }
  if (!S_ISSOCK(there.mode)) {
    return Error{Errc::not_a_socket,
                 "cannot listen on " + address.text + ": it is " + file_kind(there.mode) + ", not a socket"};
  }
  const Result<bool> alive = is_alive(address);
  if (!alive) return alive.error();
  if (*alive) return in_use(address, "a live socket (ss -xlp tells whose)");
  return Nothing{};
}

// Puts the file in `own` where the leftover is, a place that is at no moment empty. False: there is no leftover any
// more, or somebody was faster and has their file back.
Result<bool> replace_leftover(const Address& address, int directory, const char* name, PrivateDirectory& own,
                              const FileIdentity& ours) {
  const auto exchange = [&] { return ::renameat2(own.fd(), own.file(), directory, name, RENAME_EXCHANGE) == 0; };
  if (!exchange()) {
    if (errno == ENOENT) return false;
    // A file system without exchange: two servers that find a leftover at the same moment may both replace it.
    if ((errno == EINVAL || errno == ENOSYS) && ::renameat(own.fd(), own.file(), directory, name) == 0) return true;
    return cannot(address, "cannot replace the leftover socket file", errno);
  }
  if (S_ISSOCK(identify(own.fd(), own.file()).mode) && is_leftover(own.fd(), own.file())) return true;
  // Others may be at the same. Each goes on until it has its own file again, so that all but theirs is where it was.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    if (identify(own.fd(), own.file()) == ours) return false;
    if (!exchange() && !own.give(directory, name)) break;
  }
  own.keep();
  return in_use(address, "another process");
}

Status put_into_place(const Address& address, int directory, const std::string& name, PrivateDirectory& own,
                      const FileIdentity& ours) {
  for (int attempt = 0; attempt < 16; ++attempt) {
    if (own.give(directory, name.c_str())) return Nothing{};
    if (errno != EEXIST) return no_file_in(address, split(address.name).directory, errno);
    if (Status free = check_replaceable(address, directory, name); !free) return free;
    const Result<bool> done = replace_leftover(address, directory, name.c_str(), own, ours);
    if (!done) return done.error();
    if (*done) return Nothing{};
  }
  return in_use(address, "another process");
}

// Owner before mode, so that the wider mode never meets the wrong owner.
Status set_access(const Address& address, const PrivateDirectory& where, const SocketFile& wanted) {
  if (wanted.owner || wanted.group) {
    const uid_t owner = wanted.owner.value_or(static_cast<uid_t>(-1));
    const gid_t group = wanted.group.value_or(static_cast<gid_t>(-1));
    if (::fchownat(where.fd(), where.file(), owner, group, AT_SYMLINK_NOFOLLOW) != 0) {
      return cannot(address, "cannot set the owner or group of the socket file", errno);
    }
  }
  if (wanted.mode && ::fchmodat(where.fd(), where.file(), *wanted.mode, 0) != 0) {
    return cannot(address, "cannot set the mode of the socket file", errno);
  }
  return Nothing{};
}

}  // namespace

// Taken away first, looked at then: what has the name may change at any moment before. While our socket is open it
// holds its inode, whose number nobody else can have got.
void ListenSocket::File::unlink() noexcept {
  const Fd directory = std::move(directory_);
  if (!directory || owner_ != ::getpid()) return;
  if (!(identify(directory.get(), name_.c_str()) == identity_)) return;
  PrivateDirectory away = PrivateDirectory::make(directory.get(), name_);
  if (!away || ::renameat(directory.get(), name_.c_str(), away.fd(), away.file()) != 0) return;
  if (identify(away.fd(), away.file()) == identity_) return;
  if (!away.give(directory.get(), name_.c_str())) away.keep();
}

// A process that was killed a moment ago still has its sockets.
Result<ListenSocket> ListenSocket::open(const Address& address, const SocketFile& file) {
  for (int left = 20;; --left) {
    Result<ListenSocket> opened = address.abstract ? open_abstract(address, file) : open_path(address, file);
    if (opened || opened.error().code != Errc::address_in_use || left == 0) return opened;
    static_cast<void>(deferred::full());  // it may be one of this process's own that is still to be closed
    ::poll(nullptr, 0, 5);
  }
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
    return in_use(address, "a live socket (ss -xlp tells whose)");
  }
  if (::listen(fd->get(), SOMAXCONN) != 0) return cannot(address, "listen", errno);
  return ListenSocket(std::move(*fd), File());
}

// In a directory that others cannot reach into until it has its owner and mode and listens: then it gets its name.
Result<ListenSocket> ListenSocket::open_path(const Address& address, const SocketFile& file) {
  Place place = split(address.name);
  Result<Fd> directory = open_directory(address, place.directory);
  if (!directory) return directory.error();
  if (Status free = check_replaceable(address, directory->get(), place.name); !free) return free.error();
  Result<Fd> fd = open_socket(address);
  if (!fd) return fd.error();

  PrivateDirectory own = PrivateDirectory::make(directory->get(), place.name);
  if (!own) return no_file_in(address, place.directory, errno);
  // By its descriptor: others may have given the directory's name to something else.
  const SocketAddress target = in_directory(own.fd(), own.file());
  if (::bind(fd->get(), target.get(), target.length) != 0)
    return cannot(address, errno == ENOENT ? "bind, which needs /proc" : "bind", errno);
  const FileIdentity ours = identify(own.fd(), own.file());
  if (ours.inode == 0) return cannot(address, "the new socket file vanished", errno);
  if (Status status = set_access(address, own, file); !status) return status.error();
  if (::listen(fd->get(), SOMAXCONN) != 0) return cannot(address, "listen", errno);
  if (Status status = put_into_place(address, directory->get(), place.name, own, ours); !status) return status.error();
  return ListenSocket(std::move(*fd), File(std::move(*directory), std::move(place.name), ours));
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
