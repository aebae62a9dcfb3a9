// Where a socket file is while it is no longer, or not yet, for others.
#pragma once

#include <array>
#include <string>
#include <sys/types.h>

#include <memif/fd.hpp>

namespace memif {

// A directory beside a file, which only this process's user may enter: what is done by name to the one file in it is
// done to that file, whoever renames what else meanwhile. The destructor removes both. Move-only. Nothing here asks for
// memory: a socket file is taken away by it when a process has none.
class PrivateDirectory {
 public:
  // In the directory `parent`, which must stay open, for a file of that name, at most 107 bytes. Without a descriptor:
  // errno says why. One that a killed process left for a file of this name is used again.
  static PrivateDirectory make(int parent, const std::string& name) noexcept;

  PrivateDirectory() noexcept = default;
  PrivateDirectory(PrivateDirectory&& other) noexcept = default;
  PrivateDirectory& operator=(PrivateDirectory&&) noexcept = delete;
  ~PrivateDirectory();

  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  int fd() const noexcept { return fd_.get(); }
  // The end of the other file's name, so that lists of sockets show it.
  const char* file() const noexcept { return file_.data(); }

  // Gives the file this name, unless something has it (EEXIST).
  bool give(int directory, const char* name) noexcept;
  // The file in it is somebody else's after all, and stays.
  void keep() noexcept { keep_ = true; }

 private:
  enum class Entry { mine, in_use, refused };
  Entry enter(int parent) noexcept;
  bool empty_out() noexcept;

  int parent_ = -1;
  Fd fd_;
  std::array<char, 160> name_{};
  std::array<char, 72> file_{};
  bool keep_ = false;
};

// The file that this name stands for now.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  mode_t mode = 0;

  bool operator==(const FileIdentity& other) const noexcept { return device == other.device && inode == other.inode; }
};
// All zero: there is none, or it cannot be looked at: errno says why.
FileIdentity identify(int directory, const char* name) noexcept;

}  // namespace memif
