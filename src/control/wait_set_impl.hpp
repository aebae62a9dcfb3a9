// A wait set behind its public face. docs/architecture.md, "Waiting".
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unistd.h>
#include <vector>

#include <memif/detail/bell.hpp>
#include <memif/fd.hpp>
#include <memif/wait_set.hpp>

#include "data/queues.hpp"
#include "data/waiting.hpp"

namespace memif::detail {

// Each queue is *hot*, and looked at, or armed: its peer will interrupt. What has become ready turns hot; what was not
// ready for long is armed again. So a wait costs what is hot.
class WaitSetImpl {
 public:
  using Key = WaitSet::Key;

  WaitSetImpl();  // throws Exception
  ~WaitSetImpl();
  WaitSetImpl(const WaitSetImpl&) = delete;
  WaitSetImpl& operator=(const WaitSetImpl&) = delete;

  Status add(RawRx& queue, Key key);
  Status add(RawTx& queue, Key key, std::size_t slots);
  Status add(Context& context, Key key);
  Status add(int fd, unsigned events, Key key);
  void remove(const Queue& queue) noexcept;
  void remove(const Context& context) noexcept;
  void remove(int fd) noexcept;

  std::span<const Key> wait(std::chrono::nanoseconds timeout) noexcept;
  void wake() noexcept { bell_.ring(); }

  // In a child of fork() all that it stands for is still in use by the parent.
  bool inherited() const noexcept { return process_ != ::getpid(); }

 private:
  struct Member {
    Key key = 0;
    RawRx* rx = nullptr;
    RawTx* tx = nullptr;
    std::size_t slots = 0;            // tx
    std::shared_ptr<Queues> owner{};  // keeps the queue
    std::shared_ptr<Link> watched{};  // rx: whose interrupt is in the epoll set; not closed before it is out of it
    bool hot = false;                 // and in hot_
    std::uint32_t in_vain = 0;        // looks at a hot one since it was ready
    std::weak_ptr<ContextImpl> context{};
    Fd duplicate{};  // of the context's descriptor, so that no other can get its number
    int fd = -1;     // context, descriptor: what is in the epoll set

    Queue* queue() const noexcept;
    bool ready() noexcept;
    bool may_arm() const noexcept;
    std::chrono::nanoseconds spin() const noexcept;
  };

  // What an event stands for: a member, or its bell; zero: the set's own bell. Members lie at even addresses.
  static constexpr std::uint64_t bell_bit = 1;
  static std::uint64_t name_of(const Member* member, std::uint64_t bit = 0) noexcept {
    return reinterpret_cast<std::uintptr_t>(member) | bit;
  }
  bool watch(int operation, int fd, unsigned events = 0, std::uint64_t name = 0) noexcept;

  Member* find(const Queue& queue) noexcept;
  Member* find(const Context& context) noexcept;
  Member* find(int fd) noexcept;
  Status add(Queue& queue, Member made);
  Result<Member*> insert(Member made);
  void erase(Member& member) noexcept;

  void look() noexcept;
  void make_hot(Member& member) noexcept;
  bool arm(Member& member) noexcept;
  bool watch_link(Member& member) noexcept;
  bool arm_all() noexcept;
  void arm_idle() noexcept;
  std::chrono::nanoseconds longest_spin() const noexcept;
  std::optional<std::chrono::nanoseconds> nap(std::chrono::nanoseconds waited) const noexcept;
  void poll(std::chrono::nanoseconds timeout) noexcept;
  void handle(std::uint64_t what) noexcept;

  const pid_t process_ = ::getpid();
  Fd epoll_;
  Bell bell_;
  bool woken_ = false;
  std::uint32_t waits_ = 0;
  unsigned spins_in_vain_ = 0;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<Member*> hot_;
  std::vector<Key> ready_;
};

}  // namespace memif::detail
