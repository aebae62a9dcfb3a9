#include "interpreter.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <ctime>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <memif/error.hpp>

namespace memif_python {

using std::chrono::nanoseconds;

namespace {

// A signal between the look for signals and the sleep is seen when the sleep ends.
constexpr nanoseconds slice = std::chrono::milliseconds(50);

std::atomic<unsigned> generation{0};

timespec as_timespec(nanoseconds time) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

}  // namespace

Deadline::Deadline(const py::object& timeout) {
  if (timeout.is_none()) return;
  const double seconds = PyFloat_AsDouble(timeout.ptr());
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  if (std::isnan(seconds) || seconds < 0) throw py::value_error("a timeout is a number of seconds from 0 up, or None");
  constexpr double year = 365.0 * 24 * 3600;
  now_ = seconds == 0;
  if (seconds < year)
    when_ = std::chrono::steady_clock::now() + nanoseconds(static_cast<nanoseconds::rep>(seconds * 1e9));
}

nanoseconds Deadline::left(nanoseconds most) const {
  if (now_) return nanoseconds::zero();
  if (!when_) return most;
  return std::clamp<nanoseconds>(*when_ - std::chrono::steady_clock::now(), nanoseconds::zero(), most);
}

bool wait_readable(int fd, const Deadline& deadline) {
  for (;;) {
    const bool last = deadline.over();
    const timespec limit = as_timespec(deadline.left(slice));
    pollfd descriptor{.fd = fd, .events = POLLIN, .revents = 0};
    int ready = 0;
    without_gil([&]() noexcept { ready = ::ppoll(&descriptor, 1, &limit, nullptr); });
    check_signals();
    if (ready > 0) return true;
    if (last) return false;
  }
}

void nap(nanoseconds time) {
  const timespec limit = as_timespec(std::min(time, slice));
  without_gil([&]() noexcept { ::clock_nanosleep(CLOCK_MONOTONIC, 0, &limit, nullptr); });
  check_signals();
}

Event::Event() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!fd_) throw memif::Exception(memif::system_error(errno, "cannot make an eventfd"));
}

// A counter that is full is readable all the same.
void Event::set() const noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void Event::clear() const noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto length = ::read(fd_.get(), &count, sizeof count);
}

unsigned process_generation() noexcept { return generation.load(std::memory_order_relaxed); }

void watch_forks() {
  ::pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
}

void OfThisProcess::check_process() const {
  if (inherited()) throw std::runtime_error("made before fork(), in another process: make a context here");
}

}  // namespace memif_python
