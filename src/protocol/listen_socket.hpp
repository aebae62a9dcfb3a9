// The listening end of a memif socket. docs/protocol.md, "Control channel".
#pragma once

#include <string>
#include <sys/types.h>
#include <unistd.h>
#include <utility>

#include <memif/config.hpp>
#include <memif/error.hpp>
#include <memif/fd.hpp>

#include "protocol/address.hpp"
#include "protocol/private_directory.hpp"

namespace memif {

// Owns the descriptor and, if it made one, the socket file: the destructor unlinks it, provided that the path still
// names the file that was bound here and that this is the process that bound it. Move-only. One thread.
class ListenSocket {
 public:
  // Binds and listens. The leftover of a dead process is replaced; a live socket never is, nor anything else that has
  // the name: Errc::address_in_use, after a tenth of a second in which a killed process may end, Errc::not_a_socket.
  // The file has its name when it has its owner and mode and the socket listens, no sooner.
  static Result<ListenSocket> open(const Address& address, const SocketFile& file);

  // Takes a socket that listens already. Its file, if any, stays.
  static Result<ListenSocket> adopt(const Address& address, Fd fd);

  ListenSocket(ListenSocket&&) noexcept = default;
  ListenSocket& operator=(ListenSocket&&) noexcept = delete;
  ~ListenSocket() { file_.unlink(); }

  int fd() const noexcept { return fd_.get(); }

  // Takes the file away, and hands over the descriptor, which still listens.
  Fd end() noexcept {
    file_.unlink();
    return std::move(fd_);
  }

  // The next connection, non-blocking and close-on-exec. The error's code is accept()'s errno: EAGAIN when there is
  // none.
  Result<Fd> accept();

 private:
  // The socket file that was made. The directory is held open: its path may come to lead elsewhere.
  class File {
   public:
    File() noexcept = default;
    File(Fd directory, std::string name, const FileIdentity& identity) noexcept
        : directory_(std::move(directory)), name_(std::move(name)), owner_(::getpid()), identity_(identity) {}
    void unlink() noexcept;  // once

   private:
    Fd directory_;
    std::string name_;
    pid_t owner_ = 0;  // the process that bound it; 0: nothing to unlink
    FileIdentity identity_;
  };

  ListenSocket(Fd fd, File file) noexcept : fd_(std::move(fd)), file_(std::move(file)) {}
  static Result<ListenSocket> open_abstract(const Address& address, const SocketFile& file);
  static Result<ListenSocket> open_path(const Address& address, const SocketFile& file);

  Fd fd_;
  File file_;
};

}  // namespace memif
