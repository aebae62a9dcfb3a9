#include "memory/sigbus.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <new>
#include <pthread.h>
#include <string>
#include <sys/mman.h>

namespace memif {
namespace {

// Where a guard is. `version` is odd while the entry changes, so that the handler never joins the place of one guard to
// the size of another. A guard does not go while its memory is in use, so what the handler finds stays.
struct Entry {
  std::atomic<std::uint32_t> version{0};
  std::atomic<bool> used{false};
  std::atomic<bool> faulted{false};
  std::atomic<std::uintptr_t> base{0};
  std::atomic<std::size_t> size{0};
  std::atomic<std::size_t> page{0};
  std::atomic<FaultObserver*> observer{nullptr};
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<FaultObserver*>::is_always_lock_free);

// 64 peers with as many regions as there can be, or thousands of usual ones. Pages of it that are not used cost
// nothing.
constexpr std::size_t capacity = 16384;
constinit std::array<Entry, capacity> table;
constinit std::atomic<std::size_t> entries_in_use{0};  // no used entry is at or beyond this one

constinit std::mutex changing;  // the table's writers; the handler takes no lock
constinit bool installed = false;
struct sigaction previous;  // written before the handler is installed, then only read

// A page that is there whatever runs out later: the last that can take the place of another. Made likewise.
constexpr std::size_t spare_size = 4096;
void* spare = MAP_FAILED;

// The first from `i` on that guards the address; `i` is behind it then. Several guard the memory of a pool.
Entry* find(std::uintptr_t address, std::size_t& i) noexcept {
  const std::size_t count = entries_in_use.load(std::memory_order_acquire);
  while (i < count) {
    Entry& entry = table[i++];
    const std::uint32_t version = entry.version.load(std::memory_order_acquire);
    const std::uintptr_t base = entry.base.load(std::memory_order_acquire);
    const std::size_t size = entry.size.load(std::memory_order_acquire);
    if (base == 0 || version % 2 != 0 || address < base || address - base >= size) continue;
    if (entry.version.load(std::memory_order_acquire) == version) return &entry;
  }
  return nullptr;
}

constexpr int zeros = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// Mapped elsewhere first, and moved in one step since other threads use the place meanwhile: where a process locks all
// its memory, the kernel allocates what is mapped, unless nothing can access it.
bool move_zeros(std::uintptr_t from, std::size_t size) noexcept {
  void* const made = ::mmap(nullptr, size, PROT_NONE, zeros, -1, 0);
  if (made == MAP_FAILED) return false;
  if (::munlock(made, size) == 0 && ::mprotect(made, size, PROT_READ | PROT_WRITE) == 0 &&
      ::mremap(made, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, reinterpret_cast<void*>(from)) != MAP_FAILED)
    return true;
  ::munmap(made, size);
  return false;
}

bool map_zeros(std::uintptr_t from, std::size_t size) noexcept {
  return ::mmap(reinterpret_cast<void*>(from), size, PROT_READ | PROT_WRITE, zeros | MAP_FIXED, -1, 0) != MAP_FAILED;
}

// The same page at any number of places: what is stored at one is read at the others, and harms nobody.
bool map_spare(std::uintptr_t from, std::size_t size) noexcept {
  return size == spare_size && spare != MAP_FAILED &&
         ::mremap(spare, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, reinterpret_cast<void*>(from)) != MAP_FAILED;
}

// What is gone is the file's end, so zeros take the place of all from the touched page on; of that page alone where
// there is no room for more (address space, RLIMIT_DATA, memory that may not be overcommitted). Where the kernel
// refuses to split a mapping once more, all of it is replaced.
bool contain(std::uintptr_t address) noexcept {
  std::size_t i = 0;
  Entry* entry = find(address, i);
  if (entry == nullptr) return false;
  const std::uintptr_t base = entry->base.load(std::memory_order_relaxed);
  const std::uintptr_t end = base + entry->size.load(std::memory_order_relaxed);
  const std::size_t page = entry->page.load(std::memory_order_relaxed);
  const std::uintptr_t hole = address - (address - base) % page;
  if (!move_zeros(hole, end - hole) && !move_zeros(hole, page) && !map_zeros(hole, page) && !map_spare(hole, page) &&
      !map_zeros(base, end - base))
    return false;
  for (; entry != nullptr; entry = find(address, i)) {
    entry->faulted.store(true, std::memory_order_seq_cst);
    if (FaultObserver* const observer = entry->observer.load(std::memory_order_seq_cst)) observer->memory_vanished();
  }
  return true;
}

// As if this handler had never been there.
void chain(int number, siginfo_t* info, void* context) noexcept {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
  } else if (info->si_code <= 0 && previous.sa_handler == SIG_IGN) {
    return;  // sent by a process; one that the hardware raises cannot be ignored
  } else {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(number, &standard, nullptr);
    if (info->si_code <= 0) ::raise(number);  // a fault comes again by itself when this returns
  }
}

void on_sigbus(int number, siginfo_t* info, void* context) noexcept {
  const int error = errno;
  if (info->si_code != BUS_ADRERR || !contain(reinterpret_cast<std::uintptr_t>(info->si_addr)))
    chain(number, info, context);
  errno = error;
}

// A child of fork() takes no notice of what another thread was about to change: an entry that is half made is in use
// forever, and joined to nothing. To be called before the lock is taken; once more does no harm.
Status prepare_for_forks() {
  static constinit std::atomic<bool> prepared{false};
  if (prepared.load(std::memory_order_acquire)) return Nothing{};
  if (const int error = ::pthread_atfork(nullptr, nullptr, [] { new (&changing) std::mutex; }))
    return system_error(error, "cannot prepare for forks");
  prepared.store(true, std::memory_order_release);
  return Nothing{};
}

Status install() {
  if (installed) return Nothing{};
  struct sigaction now {};
  if (::sigaction(SIGBUS, nullptr, &now) != 0) return system_error(errno, "cannot ask for the SIGBUS handler");
  if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus) {  // by a thread that fork() left behind
    installed = true;
    return Nothing{};
  }
  // Populated, or it would be there only if there is memory when it is needed.
  spare = ::mmap(nullptr, spare_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (spare == MAP_FAILED) return system_error(errno, "cannot map a page to put in place of vanished ones");
  previous = now;
  struct sigaction ours {};
  ours.sa_sigaction = on_sigbus;
  ours.sa_mask = previous.sa_mask;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
  if (::sigaction(SIGBUS, &ours, nullptr) != 0) return system_error(errno, "cannot install a SIGBUS handler");
  installed = true;
  return Nothing{};
}

}  // namespace

void let_faults_in() noexcept {
  sigset_t faults;
  ::sigemptyset(&faults);
  ::sigaddset(&faults, SIGBUS);
  ::pthread_sigmask(SIG_UNBLOCK, &faults, nullptr);
}

Result<FaultGuard> FaultGuard::protect(std::byte* base, std::size_t size, std::size_t page) {
  if (Status status = prepare_for_forks(); !status) return status.error();
  const std::lock_guard lock(changing);
  if (Status status = install(); !status) return status.error();
  std::size_t i = 0;
  while (i < capacity && table[i].used.load(std::memory_order_relaxed)) ++i;
  if (i == capacity)
    return system_error(ENOSPC, "more than " + std::to_string(capacity) + " memory files that a peer could shrink");
  Entry& entry = table[i];
  entry.used.store(true, std::memory_order_relaxed);
  entry.version.fetch_add(1, std::memory_order_seq_cst);
  entry.faulted.store(false, std::memory_order_seq_cst);
  entry.observer.store(nullptr, std::memory_order_seq_cst);
  entry.size.store(size, std::memory_order_seq_cst);
  entry.page.store(page, std::memory_order_seq_cst);
  entry.base.store(reinterpret_cast<std::uintptr_t>(base), std::memory_order_seq_cst);
  entry.version.fetch_add(1, std::memory_order_seq_cst);
  if (i >= entries_in_use.load(std::memory_order_relaxed)) entries_in_use.store(i + 1, std::memory_order_release);
  return FaultGuard(i);
}

// Stored first, asked second; the handler the other way round: one of the two sees the other.
void FaultGuard::observe(FaultObserver& observer) noexcept {
  if (entry_ == none) return;
  table[entry_].observer.store(&observer, std::memory_order_seq_cst);
  if (table[entry_].faulted.load(std::memory_order_seq_cst)) observer.memory_vanished();
}

bool FaultGuard::faulted() const noexcept {
  return entry_ != none && table[entry_].faulted.load(std::memory_order_seq_cst);
}

void FaultGuard::release() noexcept {
  if (entry_ == none) return;
  const std::lock_guard lock(changing);
  Entry& entry = table[std::exchange(entry_, none)];
  entry.version.fetch_add(1, std::memory_order_seq_cst);
  entry.base.store(0, std::memory_order_seq_cst);
  entry.observer.store(nullptr, std::memory_order_seq_cst);
  entry.version.fetch_add(1, std::memory_order_seq_cst);
  entry.used.store(false, std::memory_order_relaxed);
}

}  // namespace memif
