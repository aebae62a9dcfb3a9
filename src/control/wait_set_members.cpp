// Who is in a wait set.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <new>
#include <string>
#include <sys/epoll.h>
#include <utility>

#include "base/out_of_memory.hpp"
#include "control/context_impl.hpp"
#include "control/wait_set_impl.hpp"

namespace memif::detail {
namespace {

Error cannot_watch(int error, const std::string& what) { return system_error(error, "cannot wait for " + what); }

}  // namespace

bool WaitSetImpl::watch(int operation, int fd, unsigned events, std::uint64_t name) noexcept {
  epoll_event event{};
  if ((events & event_read) != 0) event.events |= EPOLLIN;
  if ((events & event_write) != 0) event.events |= EPOLLOUT;
  event.data.u64 = name;
  return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0;
}

WaitSetImpl::WaitSetImpl() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_ || !bell_.make() || !watch(EPOLL_CTL_ADD, bell_.fd(), event_read, 0))
    throw Exception(system_error(errno, "cannot make a wait set"));
}

WaitSetImpl::~WaitSetImpl() {
  while (!members_.empty()) erase(*members_.back());
}

Queue* WaitSetImpl::Member::queue() const noexcept {
  return rx != nullptr ? static_cast<Queue*>(rx) : static_cast<Queue*>(tx);
}

WaitSetImpl::Member* WaitSetImpl::find(const Queue& queue) noexcept {
  const auto found =
      std::find_if(members_.begin(), members_.end(), [&](const auto& m) { return m->queue() == &queue; });
  return found != members_.end() ? found->get() : nullptr;
}

WaitSetImpl::Member* WaitSetImpl::find(const Context& context) noexcept {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const auto& m) { return m->duplicate && m->context.lock() == context.impl_; });
  return found != members_.end() ? found->get() : nullptr;
}

WaitSetImpl::Member* WaitSetImpl::find(int fd) noexcept {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const auto& m) { return m->queue() == nullptr && !m->duplicate && m->fd == fd; });
  return found != members_.end() ? found->get() : nullptr;
}

// wait() asks for no memory.
Result<WaitSetImpl::Member*> WaitSetImpl::insert(Member made) try {
  ready_.reserve(members_.size() + 1);
  hot_.reserve(members_.size() + 1);
  return members_.emplace_back(std::make_unique<Member>(std::move(made))).get();
} catch (const std::bad_alloc&) {
  return out_of_memory();
}

// In a queue's bell, links that come and go are heard, and wake().
Status WaitSetImpl::add(Queue& queue, Member made) {
  if (queue.set_ != nullptr) return cannot_watch(EBUSY, "a queue that is in another wait set");
  queue.owner_.make_bell(queue);
  if (queue.bell_.fd() < 0) return cannot_watch(EMFILE, "a queue");
  made.owner = queue.owner_.shared_from_this();
  Result<Member*> member = insert(std::move(made));
  if (!member) return member.error();
  if (!watch(EPOLL_CTL_ADD, queue.bell_.fd(), event_read, name_of(*member, bell_bit))) {
    const int error = errno;
    members_.pop_back();
    return cannot_watch(error, "a queue");
  }
  queue.set_ = this;
  queue.bell_.ring();  // the link that it may have is as good as new
  make_hot(**member);
  return Nothing{};
}

Status WaitSetImpl::add(RawRx& queue, Key key) {
  Member* const member = find(queue);
  if (member == nullptr) return add(queue, Member{.key = key, .rx = &queue});
  member->key = key;
  return Nothing{};
}

Status WaitSetImpl::add(RawTx& queue, Key key, std::size_t slots) {
  Member* const member = find(queue);
  if (member == nullptr) return add(queue, Member{.key = key, .tx = &queue, .slots = slots});
  member->key = key;
  member->slots = slots;
  make_hot(*member);
  return Nothing{};
}

Status WaitSetImpl::add(Context& context, Key key) {
  if (Member* const member = find(context)) {
    member->key = key;
    return Nothing{};
  }
  if (context.fd() < 0)
    return cannot_watch(EINVAL, "a context in a loop of the program's own, which waits for it already");
  Fd duplicate(::fcntl(context.fd(), F_DUPFD_CLOEXEC, 0));
  if (!duplicate) return cannot_watch(errno, "a context");
  const int fd = duplicate.get();
  Result<Member*> member = insert({.key = key, .context = context.impl_, .duplicate = std::move(duplicate), .fd = fd});
  if (!member) return member.error();
  if (watch(EPOLL_CTL_ADD, fd, event_read, name_of(*member))) return Nothing{};
  const int error = errno;
  members_.pop_back();
  return cannot_watch(error, "a context");
}

Status WaitSetImpl::add(int fd, unsigned events, Key key) {
  Member* member = find(fd);
  const bool fresh = member == nullptr;
  if (fresh) {
    Result<Member*> made = insert({.key = key, .fd = fd});
    if (!made) return made.error();
    member = *made;
  }
  if (watch(fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, events, name_of(member))) {
    member->key = key;
    return Nothing{};
  }
  const int error = errno;
  if (fresh) members_.pop_back();
  return cannot_watch(error, "file descriptor " + std::to_string(fd));
}

void WaitSetImpl::remove(const Queue& queue) noexcept {
  if (Member* const member = find(queue)) erase(*member);
}

void WaitSetImpl::remove(const Context& context) noexcept {
  if (Member* const member = find(context)) erase(*member);
}

void WaitSetImpl::remove(int fd) noexcept {
  if (Member* const member = find(fd)) erase(*member);
}

// A queue that leaves is as one that nobody waits for: it asks for no interrupts.
void WaitSetImpl::erase(Member& member) noexcept {
  if (Queue* const queue = member.queue()) {
    watch(EPOLL_CTL_DEL, queue->bell_.fd());
    if (member.watched != nullptr) watch(EPOLL_CTL_DEL, member.watched->rx[queue->index_].interrupt.get());
    queue->set_ = nullptr;
    if (member.rx != nullptr) member.rx->disarm();
  } else {
    watch(EPOLL_CTL_DEL, member.fd);
  }
  std::erase(hot_, &member);
  std::erase_if(members_, [&](const auto& m) { return m.get() == &member; });
}

}  // namespace memif::detail
