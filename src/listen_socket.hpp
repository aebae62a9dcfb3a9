// The listening end of a memif socket. docs/protocol.md, "Control channel".
#pragma once

#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <memif/config.hpp>
#include <memif/error.hpp>
#include <memif/fd.hpp>

#include "address.hpp"

namespace memif {

// Owns the descriptor and, if it made one, the socket file: the destructor unlinks it, provided that the path still
// names the file that was bound here and that this is the process that bound it. Move-only. One thread.
class ListenSocket {
 public:
  // Binds and listens. The leftover of a dead process is replaced; a live listener's socket never is, nor anything else
  // that has the name: Errc::address_in_use, Errc::not_a_socket. Waits at most a fifth of a second, for another process
  // that is opening a socket in the same directory.
  static Result<ListenSocket> open(const Address& address, const SocketFile& file);

  // Takes a socket that listens already. Its file, if any, stays.
  static Result<ListenSocket> adopt(const Address& address, Fd fd);

  ListenSocket(ListenSocket&&) noexcept = default;
  ListenSocket& operator=(ListenSocket&&) noexcept = delete;
  ~ListenSocket() { file_.unlink(); }

  int fd() const noexcept { return fd_.get(); }

  // The next connection, non-blocking and close-on-exec. The error's code is accept()'s errno: EAGAIN when there is
  // none.
  Result<Fd> accept();

 private:
  // The socket file that was made. The directory is held open, since a relative path may come to mean another file.
  class File {
   public:
    File() noexcept = default;
    File(Fd directory, std::string name) noexcept : directory_(std::move(directory)), name_(std::move(name)) {}
    Status remember(const Address& address);
    Status set_access(const Address& address, const SocketFile& wanted);
    void unlink() noexcept;
    int directory() const noexcept { return directory_.get(); }

   private:
    Fd directory_;
    std::string name_;
    pid_t owner_ = 0;  // the process that bound it; 0: nothing to unlink
    dev_t device_ = 0;
    ino_t inode_ = 0;
  };

  ListenSocket(Fd fd, File file) noexcept : fd_(std::move(fd)), file_(std::move(file)) {}
  static Result<ListenSocket> open_abstract(const Address& address, const SocketFile& file);
  static Result<ListenSocket> open_path(const Address& address, const SocketFile& file);

  Fd fd_;
  File file_;
};

}  // namespace memif
