// How this module waits: without the interpreter's lock (GIL), and no longer than until a signal.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <chrono>
#include <cxxabi.h>
#include <optional>
#include <pybind11/pybind11.h>
#include <unistd.h>
#include <utility>

#include <memif/fd.hpp>

namespace memif_python {

namespace py = pybind11;

inline bool finalizing() noexcept {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Calls take(), which waits for the GIL. Of a thread that has to wait while the interpreter ends, that ends the thread
// (pthread_exit()): its stack would be unwound, and destructors on it would use the interpreter. It stays here instead.
template <class Take>
auto or_stay(Take take) {
  try {
    return take();
  } catch (abi::__forced_unwind&) {
    for (;;) ::pause();
  }
}

// Calls work(), which must not throw, without the GIL. A thread that comes back when the interpreter has begun to end
// does not go on. The thread that ends the interpreter is the only one that gets here while that goes on.
template <class Work>
void without_gil(Work work) {
  const bool ends_it = finalizing();
  PyThreadState* const state = PyEval_SaveThread();
  work();
  if (!ends_it && finalizing())
    for (;;) ::pause();
  or_stay([state] { PyEval_RestoreThread(state); });
}

// Holds the GIL, on a thread that Python may not know.
class Gil {
 public:
  Gil() noexcept : state_(or_stay([] { return PyGILState_Ensure(); })) {}
  ~Gil() { PyGILState_Release(state_); }
  Gil(const Gil&) = delete;
  Gil& operator=(const Gil&) = delete;

 private:
  PyGILState_STATE state_;
};

// A reference that may be dropped on any thread. At the interpreter's end it is left.
class AnyThreadRef {
 public:
  AnyThreadRef() = default;
  explicit AnyThreadRef(py::object object) : object_(std::move(object)) {}
  AnyThreadRef(AnyThreadRef&&) = delete;
  ~AnyThreadRef() {
    if (!object_) return;
    if (finalizing()) {
      object_.release();
      return;
    }
    const Gil gil;
    py::object last = std::move(object_);
  }
  const py::object& get() const noexcept { return object_; }

 private:
  py::object object_;
};

// When a wait ends: `timeout` is seconds, or None for no limit. Throws ValueError for a negative one or NaN.
class Deadline {
 public:
  explicit Deadline(const py::object& timeout);
  std::chrono::nanoseconds left(std::chrono::nanoseconds most) const;  // never negative
  bool over() const { return now_ || (when_ && std::chrono::steady_clock::now() >= *when_); }

 private:
  bool now_ = false;
  std::optional<std::chrono::steady_clock::time_point> when_;
};

// Lets Python's signal handlers run; throws what they raise.
inline void check_signals() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// Waits until `fd` is readable, at most until the deadline; whether it is. A signal is handled at once.
bool wait_readable(int fd, const Deadline& deadline);

// Sleeps for `time` at most, less if a signal comes.
void nap(std::chrono::nanoseconds time);

// A descriptor that becomes readable when it is set, and stays so until it is cleared.
class Event {
 public:
  Event();
  int fd() const noexcept { return fd_.get(); }
  void set() const noexcept;
  void clear() const noexcept;

 private:
  memif::Fd fd_;
};

// Counts the forks between the first process and this one.
unsigned process_generation() noexcept;
void watch_forks();

// Belongs to the process that made it.
class OfThisProcess {
 public:
  bool inherited() const noexcept { return generation_ != process_generation(); }
  // Throws RuntimeError in a child of fork().
  void check_process() const;

 private:
  const unsigned generation_ = process_generation();
};

}  // namespace memif_python
