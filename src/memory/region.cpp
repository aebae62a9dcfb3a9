#include "memory/region.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

#include <memif/detail/wire.hpp>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace memif {
namespace {

constexpr std::uint64_t huge_page = std::uint64_t{2} << 20;

Error refused(Errc code, const std::string& why) { return {code, "region refused: " + why}; }

std::uint64_t page_size() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

// Sizes are those of files, below 2^63: the sum fits.
std::uint64_t round_up(std::uint64_t size, std::uint64_t unit) { return (size + unit - 1) / unit * unit; }

// The page size that a mapping of the file is made of and has to be unmapped by.
std::uint64_t file_page_size(int fd) {
  struct statfs status;
  if (::fstatfs(fd, &status) == 0 && static_cast<unsigned long>(status.f_type) == HUGETLBFS_MAGIC) {
    return static_cast<std::uint64_t>(status.f_bsize);
  }
  return page_size();
}

// The kernel ends a process (SIGXFSZ) that makes a file longer than it may, memory files included.
Status check_file_limit(std::uint64_t size, const std::string& what) {
  struct rlimit limit;
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur)
    return Nothing{};
  return system_error(EFBIG, what + ": files of this process may have " + std::to_string(limit.rlim_cur) +
                                 " bytes (RLIMIT_FSIZE, ulimit -f)");
}

// An errno, or 0. The kernel would rather kill a process than say that memory files have used the machine up, so what
// can never be there is not asked for.
int reserve(int fd, std::uint64_t size) {
  struct sysinfo machine;
  if (::sysinfo(&machine) == 0 && size / machine.mem_unit > machine.totalram + machine.totalswap) return ENOMEM;
  int done;
  do {
    done = ::fallocate(fd, 0, 0, static_cast<off_t>(size));
  } while (done != 0 && errno == EINTR);
  return done == 0 ? 0 : errno;
}

Result<Fd> new_memory_file(const char* name, bool huge) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (huge) flags |= MFD_HUGETLB | MFD_HUGE_2MB;
  // Some systems demand that memory files be not executable; older kernels do not know the flag.
  Fd fd(::memfd_create(name, flags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd.reset(::memfd_create(name, flags));
  if (!fd) return system_error(errno, "cannot create a memory file");
  return fd;
}

// Refuses all but memory files without touching what may be behind: a file system in user space can make any system
// call but this one wait for its daemon, which may be the peer, and so could every access to a mapping of its files.
Status check_is_memory(int fd, int& seals) {
  seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return refused(Errc::bad_region, "the descriptor is not a memory file (memfd, shm or hugetlbfs)");
  struct stat status;
  if (::fstat(fd, &status) != 0) return system_error(errno, "region refused: fstat");
  if (!S_ISREG(status.st_mode)) return refused(Errc::bad_region, "the descriptor is not a memory file");
  return Nothing{};
}

Status check_writable(int fd, int seals) {
  if ((seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0) {
    return refused(Errc::bad_region, "the memory file is sealed against writing");
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != O_RDWR) {
    return refused(Errc::bad_region, "the memory file is not open for reading and writing");
  }
  return Nothing{};
}

// vm.overcommit_memory=2: a page of a memory file that cannot be had raises SIGBUS.
bool strict_overcommit() {
  const Fd file(::open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC));
  char mode = 0;
  return file && ::read(file.get(), &mode, 1) == 1 && mode == '2';
}

bool cannot_shrink(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
}

Status check_size(int fd, std::uint64_t claimed) {
  if (claimed == 0) return refused(Errc::bad_region, "its size is 0");
  struct stat status;
  if (::fstat(fd, &status) != 0) return system_error(errno, "region refused: fstat");
  const auto actual = static_cast<std::uint64_t>(status.st_size);
  if (claimed > actual) {
    return refused(Errc::bad_region, "its size is said to be " + std::to_string(claimed) + " bytes but the file has " +
                                         std::to_string(actual));
  }
  return Nothing{};
}

}  // namespace

Region::Region(Region&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)),
      guard_(std::move(other.guard_)),
      sealed_(std::exchange(other.sealed_, false)),
      external_(std::exchange(other.external_, false)),
      peer_(std::exchange(other.peer_, std::nullopt)),
      hooks_(std::move(other.hooks_)) {}

Region& Region::operator=(Region&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  fd_ = std::move(other.fd_);
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapped_ = std::exchange(other.mapped_, 0);
  guard_ = std::move(other.guard_);
  sealed_ = std::exchange(other.sealed_, false);
  external_ = std::exchange(other.external_, false);
  peer_ = std::exchange(other.peer_, std::nullopt);
  hooks_ = std::move(other.hooks_);
  return *this;
}

// A peer can have locks on its file, all of which a close looks through.
void Region::drop_file() noexcept {
  if (peer_ && fd_)
    deferred::close(fd_.release(), peer_->user, std::move(peer_->file));
  else
    fd_.reset();
}

void Region::unmap() noexcept {
  guard_.release();
  if (hooks_ != nullptr) return release_to_application();
  drop_file();  // first: the last to let go of the file frees its pages, and that is to be the other thread
  if (data_ != nullptr && peer_)
    deferred::unmap(data_, mapped_, peer_->user, std::move(peer_->mapping));
  else if (data_ != nullptr)
    ::munmap(data_, mapped_);
  data_ = nullptr;
}

// Whoever calls its hook is not to be the last to let go of a peer's file.
void Region::release_to_application() noexcept {
  SharedFd last;
  if (peer_ && fd_) last = SharedFd(Fd(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0)), peer_->user, deferred::Kind::memory);
  if (data_ != nullptr && hooks_->release) hooks_->release(data_, size_, fd_.release());
  data_ = nullptr;
  if (peer_)
    drop_file();
  else if (hooks_->provide && fd_)
    static_cast<void>(fd_.release());
  hooks_ = nullptr;
}

Result<Region> Region::map(int fd, std::uint64_t size, int flags, int protection) {
  const std::uint64_t mapped = round_up(size, file_page_size(fd));
  void* const data = ::mmap(nullptr, mapped, protection, MAP_SHARED | flags, fd, 0);
  if (data == MAP_FAILED) {
    return system_error(errno, "cannot map " + std::to_string(size) + " bytes of a memory file");
  }
  return Region(Fd(), static_cast<std::byte*>(data), size, mapped);
}

// What cannot shrink cannot fault, but for holes that others punch into it: they need pages that may be used up, if
// those are huge, or if the kernel keeps to what it has promised.
Status Region::guard(int fd, bool sealed) {
  const std::uint64_t page = file_page_size(fd);
  sealed_ = sealed;
  if (sealed && page == page_size() && !strict_overcommit()) return Nothing{};
  if (reinterpret_cast<std::uintptr_t>(data_) % page != 0)
    return Error{Errc::unsealed_memory, "the file can be shrunk, and is not mapped at the start of a page of memory"};
  Result<FaultGuard> guard = FaultGuard::protect(data_, round_up(size_, page), page);
  if (!guard) return guard.error();
  guard_ = std::move(*guard);
  return Nothing{};
}

// Where a process locks all memory that it maps (mlockall), the kernel allocates what a file does not have: a sparse
// one would be paid for at once. What nothing can access is left alone, also when access comes later.
Result<Region> Region::map_unpaid(int fd, std::uint64_t size) {
  Result<Region> region = map(fd, size, 0, PROT_NONE);
  if (region && ::mprotect(region->data_, region->mapped_, PROT_READ | PROT_WRITE) != 0)
    return system_error(errno, "cannot map " + std::to_string(size) + " bytes of a memory file");
  return region;
}

Result<Region> Region::create_with_pages(const char* name, std::uint64_t size, bool huge, bool prefault) {
  const std::string bytes = std::to_string(size) + " bytes of shared memory";
  if (size == 0 || size > wire::region_reach) return system_error(EINVAL, "cannot make " + bytes);
  size = round_up(size, huge ? huge_page : page_size());
  Result<Fd> fd = new_memory_file(name, huge);
  if (!fd) return fd.error();
  if (Status allowed = check_file_limit(size, "cannot make " + bytes); !allowed) return allowed.error();
  if (::ftruncate(fd->get(), static_cast<off_t>(size)) != 0) return system_error(errno, "cannot make " + bytes);
  // Reserved before it is mapped, so that too little memory is an error here and not a SIGBUS later.
  if (const int error = prefault ? reserve(fd->get(), size) : 0) return system_error(error, "cannot reserve " + bytes);
  if (::fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_error(errno, "cannot seal " + bytes);
  }
  Result<Region> region = map(fd->get(), size, prefault ? MAP_POPULATE : 0, PROT_READ | PROT_WRITE);
  const Status guarded = region ? region->guard(fd->get(), true) : region.error();
  if (!guarded) return guarded.error();
  region->fd_ = std::move(*fd);
  return region;
}

Result<Region> Region::create(const char* name, std::uint64_t size, Options options, bool& fell_back_to_small_pages) {
  fell_back_to_small_pages = false;
  if (options.huge_pages) {
    Result<Region> region = create_with_pages(name, size, true, options.prefault);
    if (region) return region;
    fell_back_to_small_pages = true;
  }
  return create_with_pages(name, size, false, options.prefault);
}

Result<Region> Region::map_external(int fd, std::uint64_t size) {
  const std::string what = "external memory (file descriptor " + std::to_string(fd) + ")";
  struct stat status;
  if (::fstat(fd, &status) != 0) return system_error(errno, what);
  if (!S_ISREG(status.st_mode)) return Error{Errc::invalid_config, what + " is not a file that can be mapped"};
  if (size == 0 || size > static_cast<std::uint64_t>(status.st_size)) {
    return Error{Errc::invalid_config, what + ": size " + std::to_string(size) + ": the file has " +
                                           std::to_string(status.st_size) + " bytes"};
  }
  Fd own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own) return system_error(errno, what + ": cannot duplicate it");
  Result<Region> region = map(fd, size, 0, PROT_READ | PROT_WRITE);
  const Status guarded = region ? region->guard(fd, cannot_shrink(fd)) : region.error();
  if (!guarded) return Error{guarded.error().code, what + ": " + guarded.error().message};
  region->fd_ = std::move(own);
  region->external_ = true;
  return region;
}

Result<Region> Region::provided(std::shared_ptr<const MemoryHooks> hooks, std::uint64_t size) {
  const MemoryHooks::Mapped memory = hooks->provide(size);
  if (memory.data == nullptr || memory.fd < 0)
    return Error{Errc::bad_region, "the application provided no memory for " + std::to_string(size) + " bytes"};
  return mapped_by_application(std::move(hooks), memory, size, cannot_shrink(memory.fd), std::nullopt);
}

// From now on the hook undoes it, whatever comes of it.
Result<Region> Region::mapped_by_application(std::shared_ptr<const MemoryHooks> hooks, MemoryHooks::Mapped memory,
                                             std::uint64_t size, bool sealed, std::optional<Peer> peer) {
  Region region(Fd(memory.fd), memory.data, size, size);
  region.external_ = true;
  region.hooks_ = std::move(hooks);
  region.peer_ = std::move(peer);
  if (Status guarded = region.guard(memory.fd, sealed); !guarded)
    return Error{guarded.error().code, "the application's memory: " + guarded.error().message};
  return region;
}

Result<Region> Region::map_peer(SharedFd fd, std::uint64_t size, bool require_sealed,
                                std::shared_ptr<const MemoryHooks> hooks, std::uint64_t most) {
  int seals = 0;
  if (Status status = check_is_memory(fd.get(), seals); !status) return status.error();
  if (Status status = check_writable(fd.get(), seals); !status) return status.error();
  const bool sealed = (seals & F_SEAL_SHRINK) != 0;
  if (require_sealed && !sealed) {
    return refused(Errc::unsealed_memory, "the peer could shrink the memory file, and sealed memory is required");
  }
  // After the seals: a file that cannot shrink any more is still as long as this finds it.
  if (Status status = check_size(fd.get(), size); !status) return status.error();
  const std::uint64_t reach = std::min(size, wire::region_reach);
  const std::uint64_t mapped = round_up(reach, file_page_size(fd.get()));
  if (mapped > most) {
    return refused(Errc::too_much_memory, "its pages have " + std::to_string(mapped) + " bytes, " +
                                              std::to_string(most) + " are left (max_peer_memory)");
  }
  Peer peer{.user = fd.user()};
  if (!peer.file || !peer.mapping) return deferred::no_room();
  if (hooks != nullptr && hooks->map) {
    std::byte* const data = hooks->map(reach, fd.get());
    if (data == nullptr) return refused(Errc::bad_region, "the application could not map it");
    Result<Region> region =
        mapped_by_application(std::move(hooks), {data, fd.release()}, reach, sealed, std::move(peer));
    if (region)
      region->mapped_ = mapped;
    else
      region.error().message = "region refused: " + region.error().message;
    return region;
  }
  Result<Region> region = map_unpaid(fd.get(), reach);
  const Status guarded = region ? region->guard(fd.get(), sealed) : region.error();
  if (!guarded) return refused(Errc::bad_region, guarded.error().message);
  region->peer_ = std::move(peer);
  region->fd_ = Fd(fd.release());
  return region;
}

}  // namespace memif
