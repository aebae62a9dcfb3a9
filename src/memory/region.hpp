// Shared memory: files made, checked and mapped. docs/protocol.md, "Shared memory".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sys/types.h>
#include <utility>

#include <memif/config.hpp>
#include <memif/error.hpp>
#include <memif/fd.hpp>

#include "base/shared_fd.hpp"
#include "memory/sigbus.hpp"

namespace memif {

// One mapped memory file. Owns descriptor and mapping; move-only. The object belongs to one thread at a time, the
// memory to whoever the protocol says.
class Region {
 public:
  struct Options {
    bool huge_pages = false;  // 2 MiB pages, or ordinary ones when there are none
    bool prefault = false;    // all memory is there when create() returns
  };

  // A new memory file that nobody can shrink or grow, zeroed. `size` is rounded up to whole pages. The error's code is
  // an errno (ENOSPC or ENOMEM where memory is short).
  static Result<Region> create(const char* name, std::uint64_t size, Options options, bool& fell_back_to_small_pages);

  // The first `size` bytes of a file of the application's. `fd` stays the caller's. Errors: Errc::invalid_config,
  // errno.
  static Result<Region> map_external(int fd, std::uint64_t size);

  // Memory that the application's hook provides, mapped. Errors: Errc::bad_region, Errc::unsealed_memory.
  static Result<Region> provided(std::shared_ptr<const MemoryHooks> hooks, std::uint64_t size);

  // A file from a peer, believed in nothing; as much of it is mapped as descriptors reach. Errors: Errc::bad_region,
  // Errc::unsealed_memory. Does not block and has no effect on the file, whatever it is: nothing of it is allocated
  // here, also where this process locks all its memory. With `hooks` that map, the application maps that much.
  // Errc::too_much_memory: in whole pages of the file it is more than `most`. Errc::fds_not_closed: too much that peers
  // have sent is still being closed.
  static Result<Region> map_peer(SharedFd fd, std::uint64_t size, bool require_sealed,
                                 std::shared_ptr<const MemoryHooks> hooks = nullptr,
                                 std::uint64_t most = ~std::uint64_t{0});

  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;
  ~Region() { unmap(); }

  std::byte* data() const noexcept { return data_; }
  std::uint64_t size() const noexcept { return size_; }      // bytes that may be used
  std::uint64_t mapped() const noexcept { return mapped_; }  // the same in whole pages of the file
  int fd() const noexcept { return fd_.get(); }              // -1: none is kept
  bool sealed() const noexcept { return sealed_; }           // nobody can shrink the file any more
  bool external() const noexcept { return external_; }
  bool guarded() const noexcept { return guard_.active(); }  // its pages can vanish: sigbus.hpp

  // The mapping is all that is needed from now on; unless it is the application's, whose hooks get the descriptor.
  void close_file() noexcept {
    if (!hooks_) drop_file();
  }

  // Tells of memory that somebody else takes away under us, where that can be.
  void observe(FaultObserver& observer) noexcept { guard_.observe(observer); }

 private:
  // Whose file it is, if not ours, and where it waits to be closed and unmapped.
  struct Peer {
    uid_t user;
    deferred::Place file{deferred::Kind::memory}, mapping{deferred::Kind::memory};
  };

  Region(Fd fd, std::byte* data, std::uint64_t size, std::uint64_t mapped) noexcept
      : fd_(std::move(fd)), data_(data), size_(size), mapped_(mapped) {}
  static Result<Region> map(int fd, std::uint64_t size, int flags, int protection);
  static Result<Region> map_unpaid(int fd, std::uint64_t size);
  static Result<Region> create_with_pages(const char* name, std::uint64_t size, bool huge, bool prefault);
  static Result<Region> mapped_by_application(std::shared_ptr<const MemoryHooks> hooks, MemoryHooks::Mapped memory,
                                              std::uint64_t size, bool sealed, std::optional<Peer> peer);
  Status guard(int fd, bool sealed);
  void drop_file() noexcept;
  void unmap() noexcept;
  void release_to_application() noexcept;

  Fd fd_;
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t mapped_ = 0;  // size_ in whole pages of the file
  FaultGuard guard_;
  bool sealed_ = false;
  bool external_ = false;
  std::optional<Peer> peer_;
  std::shared_ptr<const MemoryHooks> hooks_;  // mapped by the application: its hook undoes that
};

}  // namespace memif
