// The Python type Burst: packets that can be seen until it ends; and the count of those who see them.
#pragma once

#include <cstddef>
#include <span>

#include <memif/packet.hpp>

#include "interpreter.hpp"

namespace memif_python {

class RxCore;
struct Lease;

// Copies of so many bytes are made without the GIL.
inline constexpr std::size_t bytes_worth_other_threads = 65536;

// A Burst of these packets. Its lease, if there are any, is `lease`, and tells `core` when it ends. `queue` is the
// Python object of `core`.
py::object make_burst(RxCore& core, py::object queue, std::span<memif::Buffer> buffers, std::size_t packets,
                      Lease*& lease);

// Ends all views that can be ended. False, with BufferError set, if some memory is still in use: the lease goes on
// then.
bool end_lease(Lease* lease);

bool is_burst(PyObject* object) noexcept;

// Keeps a burst from ending, as a view of it does. Throws ValueError if it has ended.
class PinnedBurst {
 public:
  explicit PinnedBurst(PyObject* object);
  PinnedBurst(const PinnedBurst&) = delete;
  PinnedBurst& operator=(const PinnedBurst&) = delete;
  ~PinnedBurst() { PyBuffer_Release(&view_); }

 private:
  Py_buffer view_{};
};

// Of one that is pinned: packet `i` in one piece, valid as long as the burst.
std::span<const std::byte> bytes_of(PyObject* object, std::size_t i);

void add_burst_types(py::module_& module);

}  // namespace memif_python
