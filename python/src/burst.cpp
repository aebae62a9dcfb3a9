// A Burst has memoryviews of its packets, made when they are asked for, and drops or releases them when it ends. What
// they are views of is its Lease: each export of a Lease's memory holds a reference to it, also that of a slice or of
// an array that was made of a view, and is counted. So a Lease without exports is the proof that nobody can reach the
// memory. A Burst that is dropped leaves weak references to views that others have, so that these still end with it.
#include "burst.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

#include "rx.hpp"

namespace memif_python {

struct Burst;

struct Lease {
  PyObject ob_base;
  Burst* burst;     // none once dropped
  RxCore* core;     // none once ended
  PyObject* queue;  // which owns the core
  Py_ssize_t exports;
  std::span<const std::byte> next;                    // what the next export is of
  std::vector<std::unique_ptr<std::byte[]>>* chains;  // copies of packets that are chains
  std::vector<PyObject*>* orphans;                    // weak references to views that the Burst does not have any more
};

struct Burst {
  PyObject ob_base;
  Lease* lease;  // none without packets
  Py_ssize_t count;
  PyObject** views;       // `count`, made or not
  memif::Buffer** first;  // of each packet, its first buffer
};

namespace {

PyTypeObject* lease_type = nullptr;
PyTypeObject* burst_type = nullptr;
PyObject* release_name = nullptr;

PyObject* as_object(void* object) noexcept { return static_cast<PyObject*>(object); }
Lease* as_lease(PyObject* object) noexcept { return reinterpret_cast<Lease*>(object); }
Burst* as_burst(PyObject* object) noexcept { return reinterpret_cast<Burst*>(object); }

// Keeps the error that is being handled, whatever is called meanwhile.
class KeptError {
 public:
  KeptError() noexcept { PyErr_Fetch(&type_, &value_, &trace_); }
  ~KeptError() { PyErr_Restore(type_, value_, trace_); }
  KeptError(const KeptError&) = delete;
  KeptError& operator=(const KeptError&) = delete;

 private:
  PyObject *type_ = nullptr, *value_ = nullptr, *trace_ = nullptr;
};

// False for a view that something was made of, such as an array: it stays, and its export counts.
bool release_view(PyObject* view) noexcept {
  PyObject* const nothing = PyObject_CallMethodNoArgs(view, release_name);
  if (nothing == nullptr) PyErr_Clear();
  Py_XDECREF(nothing);
  return nothing != nullptr;
}

// False if there is no memory: the reference is dropped then.
bool remember(Lease* lease, PyObject* reference) noexcept {
  try {
    if (lease->orphans == nullptr) lease->orphans = new std::vector<PyObject*>;
    lease->orphans->push_back(reference);
    return true;
  } catch (const std::bad_alloc&) {
    Py_DECREF(reference);
    return false;
  }
}

// Releases the views that others have, as far as they can be. Whatever Python calls meanwhile finds none.
void release_orphans(Lease* lease) noexcept {
  const std::unique_ptr<std::vector<PyObject*>> orphans(std::exchange(lease->orphans, nullptr));
  if (orphans == nullptr) return;
  for (PyObject* const reference : *orphans) {
    PyObject* const view = PyWeakref_GetObject(reference);
    bool released = true;
    if (view != nullptr && view != Py_None) {
      Py_INCREF(view);
      released = release_view(view);
      Py_DECREF(view);
    }
    if (released)
      Py_DECREF(reference);
    else
      remember(lease, reference);
  }
}

void finish(Lease* lease) noexcept {
  if (RxCore* const core = std::exchange(lease->core, nullptr)) core->lease_ended();
}

// --- Lease ---

int lease_getbuffer(PyObject* self, Py_buffer* view, int flags) {
  Lease* const lease = as_lease(self);
  if (lease->core == nullptr) {
    view->obj = nullptr;
    PyErr_SetString(PyExc_BufferError, "the burst has ended");
    return -1;
  }
  // Read-only is what PyBuffer_FillInfo() is told, so it writes to nothing.
  void* const data = const_cast<std::byte*>(lease->next.data());
  if (PyBuffer_FillInfo(view, self, data, static_cast<Py_ssize_t>(lease->next.size()), 1, flags) != 0) return -1;
  ++lease->exports;
  return 0;
}

void lease_releasebuffer(PyObject* self, Py_buffer*) { --as_lease(self)->exports; }

void lease_dealloc(PyObject* self) {
  const KeptError kept;
  Lease* const lease = as_lease(self);
  finish(lease);
  if (lease->orphans != nullptr)
    for (PyObject* const reference : *lease->orphans) Py_DECREF(reference);
  delete lease->orphans;
  delete lease->chains;
  PyTypeObject* const type = Py_TYPE(self);
  PyObject* const queue = lease->queue;
  type->tp_free(self);
  Py_DECREF(as_object(type));
  Py_XDECREF(queue);
}

// --- Burst ---

// Its memory as one piece: the buffer, or a copy of the chain, which the lease has then.
std::span<const std::byte> flat(Lease* lease, const memif::Packet& packet) {
  if (packet.contiguous()) return packet.bytes();
  const std::size_t size = packet.size();
  std::unique_ptr<std::byte[]> copy(new std::byte[size]);
  packet.copy_to({copy.get(), size});
  if (lease->chains == nullptr) lease->chains = new std::vector<std::unique_ptr<std::byte[]>>;
  lease->chains->push_back(std::move(copy));
  return {lease->chains->back().get(), size};
}

bool ended(const Burst* burst) noexcept { return burst->count != 0 && burst->lease->core == nullptr; }

PyObject* raise_ended() {
  PyErr_SetString(PyExc_ValueError, "the burst has ended");
  return nullptr;
}

PyObject* burst_item(PyObject* self, Py_ssize_t i) {
  Burst* const burst = as_burst(self);
  if (i < 0 || i >= burst->count) {
    PyErr_SetString(PyExc_IndexError, "packet index out of range");
    return nullptr;
  }
  if (ended(burst)) return raise_ended();
  if (burst->views[i] == nullptr) {
    try {
      burst->lease->next = flat(burst->lease, *memif::PacketIterator(burst->first[i]));
    } catch (const std::bad_alloc&) {
      return PyErr_NoMemory();
    }
    burst->views[i] = PyMemoryView_FromObject(as_object(burst->lease));
  }
  Py_XINCREF(burst->views[i]);
  return burst->views[i];
}

PyObject* burst_subscript(PyObject* self, PyObject* key) {
  const Py_ssize_t count = as_burst(self)->count;
  if (PySlice_Check(key)) {
    Py_ssize_t start = 0, stop = 0, step = 0;
    if (PySlice_Unpack(key, &start, &stop, &step) != 0) return nullptr;
    const Py_ssize_t length = PySlice_AdjustIndices(count, &start, &stop, step);
    PyObject* const list = PyList_New(length);
    for (Py_ssize_t i = 0; list != nullptr && i != length; ++i) {
      PyObject* const view = burst_item(self, start + i * step);
      if (view == nullptr) {
        Py_DECREF(list);
        return nullptr;
      }
      PyList_SET_ITEM(list, i, view);
    }
    return list;
  }
  const Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError);
  if (i == -1 && PyErr_Occurred() != nullptr) return nullptr;
  return burst_item(self, i < 0 ? i + count : i);
}

Py_ssize_t burst_length(PyObject* self) { return as_burst(self)->count; }

// Lets go of all views. Those that others have are released, now or later by the lease: at the end of the burst, or
// where only the Burst goes.
void drop_views(Burst* burst, bool at_the_end) noexcept {
  for (Py_ssize_t i = 0; i != burst->count; ++i) {
    PyObject* const view = std::exchange(burst->views[i], nullptr);
    if (view == nullptr) continue;
    if (Py_REFCNT(view) != 1 && !(at_the_end && release_view(view))) {
      PyObject* const reference = PyWeakref_NewRef(view, nullptr);
      if (reference == nullptr || !remember(burst->lease, reference)) {
        PyErr_Clear();
        release_view(view);
      }
    }
    Py_DECREF(view);
  }
}

// True if it has ended; else BufferError is set.
bool end_burst(const Burst* burst) { return burst->count == 0 || ended(burst) || end_lease(burst->lease); }

PyObject* burst_release(PyObject* self, PyObject*) {
  if (!end_burst(as_burst(self))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* burst_enter(PyObject* self, PyObject*) {
  Py_INCREF(self);
  return self;
}

// An exception on its way may well have frames that use a packet: it is not to be replaced by what that brings. The
// queue's next call ends the burst then.
PyObject* burst_exit(PyObject* self, PyObject* arguments) {
  PyObject* const exception = PyTuple_Size(arguments) > 0 ? PyTuple_GetItem(arguments, 0) : Py_None;
  if (exception == nullptr) return nullptr;
  if (!end_burst(as_burst(self))) {
    if (exception == Py_None) return nullptr;
    PyErr_Clear();
  }
  Py_RETURN_FALSE;
}

PyObject* burst_repr(PyObject* self) {
  const Burst* const burst = as_burst(self);
  return PyUnicode_FromFormat("<memif.Burst of %zd packets%s>", burst->count, ended(burst) ? ", ended" : "");
}

void burst_dealloc(PyObject* self) {
  const KeptError kept;
  Burst* const burst = as_burst(self);
  if (burst->lease != nullptr) {
    burst->lease->burst = nullptr;
    drop_views(burst, false);
    Py_DECREF(as_object(burst->lease));
  }
  PyMem_Free(burst->views);
  PyMem_Free(burst->first);
  PyTypeObject* const type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(as_object(type));
}

constexpr const char* burst_doc =
    "Packets that were received, as a sequence of read-only memoryviews.\n\n"
    "A view shows the peer's memory, without a copy; a packet that the peer sent in several buffers is a view of\n"
    "a copy. The burst ends with release() or its `with` block, with the next call of its queue that receives or\n"
    "waits, or when nobody has it or a view of it. The memory goes back to the peer then, and using a view raises\n"
    "ValueError.\n\n"
    "A slice of a view, or an array made of one, cannot be ended. While there is one, the burst does not end: what\n"
    "would end it raises BufferError, and the queue stays where it is. Copy what has to live longer: bytes(packet).\n\n"
    ">>> with memif.pair() as (a, b):\n"
    "...     _ = a.tx[0].send([b'one', b'two'])\n"
    "...     with b.rx[0].receive(timeout=5.0) as burst:\n"
    "...         [bytes(packet) for packet in burst]\n"
    "[b'one', b'two']\n";

constexpr const char* release_doc =
    "Ends the burst. BufferError: a slice of a view, or an array made of one, is still there.\n\n"
    ">>> with memif.pair() as (a, b):\n"
    "...     _ = a.tx[0].send([b'one'])\n"
    "...     burst = b.rx[0].receive(timeout=5.0)\n"
    "...     view = burst[0]\n"
    "...     burst.release()\n"
    "...     bytes(view)\n"
    "Traceback (most recent call last):\n"
    "    ...\n"
    "ValueError: operation forbidden on released memoryview object\n";

PyTypeObject* make_type(PyType_Spec& spec) {
  PyObject* const type = PyType_FromSpec(&spec);
  if (type == nullptr) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(type);
}

template <class Function>
void* slot(Function* function) noexcept {
  return reinterpret_cast<void*>(function);
}

}  // namespace

bool end_lease(Lease* lease) {
  Py_INCREF(as_object(lease));  // its last views may go
  if (Burst* const burst = lease->burst) {
    Py_INCREF(as_object(burst));  // whoever hears of a view's end may drop it
    drop_views(burst, true);
    Py_DECREF(as_object(burst));
  }
  release_orphans(lease);
  const Py_ssize_t exports = lease->exports;
  if (exports == 0)
    finish(lease);
  else
    PyErr_Format(
        PyExc_BufferError,
        "%zd packets of the last burst are in use, by views, slices or arrays made of them: drop these, or copy "
        "what has to outlive the burst",
        exports);
  Py_DECREF(as_object(lease));
  return exports == 0;
}

py::object make_burst(RxCore& core, py::object queue, std::span<memif::Buffer> buffers, std::size_t packets,
                      Lease*& lease) {
  auto object = py::reinterpret_steal<py::object>(burst_type->tp_alloc(burst_type, 0));
  if (!object) throw py::error_already_set();
  if (packets == 0) return object;
  Burst* const burst = as_burst(object.ptr());
  burst->views = static_cast<PyObject**>(PyMem_Calloc(packets, sizeof(PyObject*)));
  burst->first = static_cast<memif::Buffer**>(PyMem_Malloc(packets * sizeof(memif::Buffer*)));
  PyObject* const made = lease_type->tp_alloc(lease_type, 0);
  if (burst->views == nullptr || burst->first == nullptr || made == nullptr) {
    Py_XDECREF(made);
    throw std::bad_alloc();
  }
  memif::Buffer* at = buffers.data();
  for (std::size_t i = 0; i != packets; ++i) {
    burst->first[i] = at;
    while (at->more()) ++at;
    ++at;
  }
  burst->count = static_cast<Py_ssize_t>(packets);
  lease = burst->lease = as_lease(made);
  lease->burst = burst;
  lease->core = &core;
  lease->queue = queue.release().ptr();
  return object;
}

bool is_burst(PyObject* object) noexcept { return Py_TYPE(object) == burst_type; }

PinnedBurst::PinnedBurst(PyObject* object) {
  const Burst* const burst = as_burst(object);
  if (burst->count == 0) return;
  if (ended(burst)) {
    raise_ended();
    throw py::error_already_set();
  }
  if (PyObject_GetBuffer(as_object(burst->lease), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
}

std::span<const std::byte> bytes_of(PyObject* object, std::size_t i) {
  const Burst* const burst = as_burst(object);
  return flat(burst->lease, *memif::PacketIterator(burst->first[i]));
}

void add_burst_types(py::module_& module) {
  static PyType_Slot lease_slots[] = {{Py_tp_dealloc, slot(lease_dealloc)},
                                      {Py_bf_getbuffer, slot(lease_getbuffer)},
                                      {Py_bf_releasebuffer, slot(lease_releasebuffer)},
                                      {0, nullptr}};
  static PyType_Spec lease_spec = {"memif._memif.Lease", sizeof(Lease), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, lease_slots};
  static PyMethodDef burst_methods[] = {{"release", burst_release, METH_NOARGS, release_doc},
                                        {"__enter__", burst_enter, METH_NOARGS, nullptr},
                                        {"__exit__", burst_exit, METH_VARARGS, nullptr},
                                        {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot burst_slots[] = {{Py_tp_dealloc, slot(burst_dealloc)},
                                      {Py_tp_repr, slot(burst_repr)},
                                      {Py_tp_doc, const_cast<char*>(burst_doc)},
                                      {Py_tp_methods, burst_methods},
                                      {Py_sq_length, slot(burst_length)},
                                      {Py_sq_item, slot(burst_item)},
                                      {Py_mp_length, slot(burst_length)},
                                      {Py_mp_subscript, slot(burst_subscript)},
                                      {0, nullptr}};
  static PyType_Spec burst_spec = {"memif._memif.Burst", sizeof(Burst), 0,
                                   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, burst_slots};
  lease_type = make_type(lease_spec);
  burst_type = make_type(burst_spec);
  release_name = PyUnicode_InternFromString("release");
  module.attr("Burst") = py::reinterpret_borrow<py::object>(as_object(burst_type));
}

}  // namespace memif_python
