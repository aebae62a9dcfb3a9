#include "tx.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "burst.hpp"

namespace memif_python {

namespace {

using Bytes = TxCore::Bytes;

constexpr std::size_t chunk = 256;  // packets that are looked at before the first of them is sent

// Python's buffers of some packets, let go of with this.
class Buffers {
 public:
  Buffers() = default;
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;
  ~Buffers() { clear(); }

  void clear() noexcept {
    while (held_ != 0) PyBuffer_Release(&views_[--held_]);
    count_ = 0;
  }
  void add(Bytes bytes) noexcept { bytes_[count_++] = bytes; }
  void add(PyObject* packet) {
    if (PyBytes_CheckExact(packet)) return add(as_bytes(PyBytes_AS_STRING(packet), PyBytes_GET_SIZE(packet)));
    if (PyObject_GetBuffer(packet, &views_[held_], PyBUF_SIMPLE) != 0) {
      if (PyErr_ExceptionMatches(PyExc_TypeError) != 0)
        PyErr_Format(PyExc_TypeError, "a packet is bytes-like, not %.100s: send() takes a list of packets",
                     Py_TYPE(packet)->tp_name);
      throw py::error_already_set();
    }
    const Py_buffer& view = views_[held_++];
    add(as_bytes(view.buf, view.len));
  }
  std::span<const Bytes> bytes() const noexcept { return {bytes_.data(), count_}; }

  static Bytes as_bytes(const void* data, Py_ssize_t size) noexcept {
    return {static_cast<const std::byte*>(data), static_cast<std::size_t>(size)};
  }

 private:
  std::array<Py_buffer, chunk> views_;
  std::array<Bytes, chunk> bytes_;
  std::size_t held_ = 0, count_ = 0;
};

// A list or tuple. Other threads may change a list while this one waits, so that its items are asked for one by one.
class Items {
 public:
  explicit Items(const py::object& packets)
      : items_(py::reinterpret_steal<py::object>(PySequence_Fast(packets.ptr(), "send() takes a list of packets"))) {
    if (!items_) throw py::error_already_set();
  }
  std::size_t size() const noexcept { return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items_.ptr())); }
  // References to the items are kept: what is in the list may change.
  void load(std::size_t from, std::size_t to, Buffers& into) {
    kept_.clear();
    for (std::size_t i = from; i != std::min(to, size()); ++i) {
      PyObject* const item = PySequence_Fast_GET_ITEM(items_.ptr(), static_cast<Py_ssize_t>(i));
      kept_.push_back(py::reinterpret_borrow<py::object>(item));
      into.add(item);
    }
  }

 private:
  py::object items_;
  std::vector<py::object> kept_;
};

// The rows of a two-dimensional array.
class Rows {
 public:
  explicit Rows(const py::object& array) {
    if (PyObject_GetBuffer(array.ptr(), &view_, PyBUF_STRIDED_RO) != 0) throw py::error_already_set();
    if (view_.ndim != 2 || (view_.shape[1] > 1 && view_.strides[1] != view_.itemsize)) {
      PyBuffer_Release(&view_);
      throw py::type_error("send() takes a list of packets, or a two-dimensional array with a packet in each row");
    }
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows() { PyBuffer_Release(&view_); }
  std::size_t size() const noexcept { return static_cast<std::size_t>(view_.shape[0]); }
  void load(std::size_t from, std::size_t to, Buffers& into) const {
    for (std::size_t i = from; i != to; ++i)
      into.add(Buffers::as_bytes(static_cast<const char*>(view_.buf) + static_cast<Py_ssize_t>(i) * view_.strides[0],
                                 view_.shape[1] * view_.itemsize));
  }

 private:
  Py_buffer view_{};
};

// Packets of a burst, which cannot end meanwhile.
class Received {
 public:
  explicit Received(const py::object& burst) : burst_(burst.ptr()), pin_(burst.ptr()) {}
  std::size_t size() const noexcept { return static_cast<std::size_t>(PyObject_Length(burst_)); }
  void load(std::size_t from, std::size_t to, Buffers& into) const {
    for (std::size_t i = from; i != to; ++i) into.add(bytes_of(burst_, i));
  }

 private:
  PyObject* burst_;
  PinnedBurst pin_;
};

}  // namespace

TxCore::TxCore(std::shared_ptr<InterfaceCore> interface, std::size_t index)
    : interface_(std::move(interface)), queue_(interface_->tx().at(index)) {}

TxCore::~TxCore() {
  if (inherited()) new std::shared_ptr<memif::TxQueue>(std::move(queue_));
}

// Whether it does not even fit into an empty ring. None but this side takes free slots, so there are no fewer of them
// the second time, unless the link is another one.
bool TxCore::too_long(std::uint32_t size) noexcept {
  if (!queue_->up() || queue_->room() != queue_->ring_size()) return false;
  const std::uint32_t epoch = queue_->raw().epoch();
  const bool fits = queue_->begin(array_).add(size);
  return !fits && queue_->room() == queue_->ring_size() && queue_->raw().epoch() == epoch;
}

TxCore::Put TxCore::put_now(std::span<const Bytes> packets) noexcept {
  memif::TxBurst burst = queue_->begin(array_);
  Put result;
  for (const Bytes packet : packets) {
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(packet.size(), ~std::uint32_t{0}));
    if (!burst.add(size)) {
      result.too_long = burst.empty() && too_long(size);
      break;
    }
    burst.back().copy_from(packet);
  }
  result.packets = burst.send();
  return result;
}

// A packet may take all slots of the present ring.
void TxCore::fit_array() {
  queue_->up();
  if (array_.size() < queue_->ring_size()) array_.resize(queue_->ring_size());
}

// As many as the ring takes now.
TxCore::Put TxCore::put(std::span<const Bytes> packets) {
  std::size_t bytes = 0;
  for (const Bytes packet : packets) bytes += packet.size();
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock && bytes < bytes_worth_other_threads) {
    fit_array();
    return put_now(packets);
  }
  Put result;
  bool out_of_memory = false;
  if (lock) lock.unlock();
  without_gil([&]() noexcept {
    const std::lock_guard turn(mutex_);
    try {
      fit_array();
      result = put_now(packets);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
  });
  if (out_of_memory) throw std::bad_alloc();
  return result;
}

template <class Source>
std::size_t TxCore::send_all(Source& source, std::size_t count, const Deadline& deadline) {
  constexpr std::chrono::nanoseconds first_nap = std::chrono::microseconds(20),
                                     longest_nap = std::chrono::milliseconds(1);
  const auto buffers = std::make_unique_for_overwrite<Buffers>();
  std::size_t sent = 0;
  std::chrono::nanoseconds pause = first_nap;
  while (sent < count) {
    buffers->clear();
    source.load(sent, std::min(sent + chunk, count), *buffers);
    std::span<const Bytes> left = buffers->bytes();
    if (left.empty()) return sent;  // the list has become shorter
    const auto empty = std::find_if(left.begin(), left.end(), [](Bytes packet) { return packet.empty(); });
    left = left.first(static_cast<std::size_t>(empty - left.begin()));
    while (!left.empty()) {
      const Put result = put(left);
      sent += result.packets;
      left = left.subspan(result.packets);
      if (left.empty()) break;
      if (result.too_long)
        throw py::value_error("packet " + std::to_string(sent) + " has " + std::to_string(left.front().size()) +
                              " bytes, more than the ring takes");
      if (result.packets != 0) {
        pause = first_nap;
        continue;
      }
      interface_->check_open();
      if (deadline.over()) return sent;
      nap(std::min(deadline.left(longest_nap), pause));
      pause = std::min(2 * pause, longest_nap);
    }
    if (empty != buffers->bytes().end()) throw py::value_error("packet " + std::to_string(sent) + " is empty");
  }
  return sent;
}

std::size_t TxCore::send(const py::object& packets, const py::object& timeout) {
  check_process();
  interface_->check_open();
  const Deadline deadline(timeout);
  if (is_burst(packets.ptr())) {
    Received source(packets);
    return send_all(source, source.size(), deadline);
  }
  if (PyObject_CheckBuffer(packets.ptr()) != 0) {
    Rows source(packets);
    return send_all(source, source.size(), deadline);
  }
  Items source(packets);
  return send_all(source, source.size(), deadline);
}

std::size_t TxCore::room() {
  check_process();
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock ? queue_->room() : 0;
}

}  // namespace memif_python
