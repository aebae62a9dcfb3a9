// memif._memif: what the package `memif` is made of. The package has the names that are documented.
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <memif/context.hpp>
#include <memif/version.hpp>

#include "burst.hpp"
#include "control.hpp"
#include "interpreter.hpp"
#include "rx.hpp"
#include "tx.hpp"

namespace memif_python {

namespace {

[[noreturn]] void throw_config(const std::string& text) { throw memif::Exception({memif::Errc::invalid_config, text}); }

// The keywords of a configuration. A value of None is the default.
class Fields {
 public:
  explicit Fields(py::dict fields) : fields_(std::move(fields)) {}

  template <class T>
  void integer(const char* name, T& value) const {
    const py::object given = get(name);
    if (!given.is_none()) value = as_integer<T>(name, given);
  }
  template <class T>
  void integer(const char* name, std::optional<T>& value) const {
    const py::object given = get(name);
    if (!given.is_none()) value = as_integer<T>(name, given);
  }
  template <class T>
  void integers(const char* name, std::vector<T>& values) const {
    const py::object given = get(name);
    if (given.is_none()) return;
    for (const py::handle one : given) values.push_back(as_integer<T>(name, py::reinterpret_borrow<py::object>(one)));
  }
  template <class Duration>
  void seconds(const char* name, Duration& value) const {
    const py::object given = get(name);
    if (given.is_none()) return;
    const double number = given.cast<double>();
    constexpr double most = 1e8;  // beyond every limit, and no overflow
    if (!(number >= 0 && number <= most)) throw_config(std::string(name) + " is not a number of seconds from 0 up");
    value = std::chrono::round<Duration>(std::chrono::duration<double>(number));
  }
  void flag(const char* name, bool& value) const {
    const py::object given = get(name);
    if (!given.is_none()) value = given.cast<bool>();
  }
  void text(const char* name, std::string& value) const {
    const py::object given = get(name);
    if (!given.is_none()) value = given.cast<std::string>();
  }
  template <class T>
  void choice(const char* name, T& value, std::initializer_list<T> choices) const {
    const py::object given = get(name);
    if (given.is_none()) return;
    std::string names;
    const auto word = py::str(given).cast<std::string>();
    for (const T one : choices) {
      if (word == to_string(one)) {
        value = one;
        return;
      }
      names += std::string(names.empty() ? "" : ", ") + to_string(one);
    }
    throw_config(std::string(name) + " is \"" + word + "\": must be one of " + names);
  }
  py::object get(const char* name) const { return fields_.attr("get")(name); }

 private:
  template <class T>
  static T as_integer(const char* name, const py::object& given) {
    const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(given.ptr()));
    if (!number) throw py::error_already_set();
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow != 0 || !std::in_range<T>(value))
      throw_config(std::string(name) + " is " + py::str(number).cast<std::string>() + ": must be from 0 to " +
                   std::to_string(std::numeric_limits<T>::max()));
    return static_cast<T>(value);
  }

  py::dict fields_;
};

memif::InterfaceConfig interface_config(const py::dict& keywords) {
  const Fields fields(keywords);
  memif::InterfaceConfig config;
  fields.text("socket", config.socket);
  fields.integer("id", config.id);
  fields.choice("role", config.role, {memif::Role::client, memif::Role::server});
  fields.choice("mode", config.mode, {memif::Mode::ethernet, memif::Mode::ip, memif::Mode::punt_inject});
  fields.text("secret", config.secret);
  fields.text("name", config.name);
  fields.integer("rx_queues", config.rx_queues);
  fields.integer("tx_queues", config.tx_queues);
  fields.integer("ring_size", config.ring_size);
  fields.integer("buffer_size", config.buffer_size);
  fields.integer("headroom", config.headroom);
  fields.integer("max_packet", config.max_packet);
  fields.choice("rx_mode", config.rx_mode, {memif::RxMode::polling, memif::RxMode::interrupt, memif::RxMode::adaptive});
  fields.seconds("spin", config.spin);
  fields.seconds("reconnect", config.reconnect);
  fields.seconds("handshake_timeout", config.handshake_timeout);
  fields.flag("huge_pages", config.huge_pages);
  fields.flag("prefault", config.prefault);
  fields.flag("require_sealed_memory", config.require_sealed_memory);
  fields.integer("max_peer_memory", config.max_peer_memory);
  fields.integers("allowed_users", config.allowed_users);
  fields.integers("allowed_groups", config.allowed_groups);
  fields.integer("socket_mode", config.socket_file.mode);
  fields.integer("socket_owner", config.socket_file.owner);
  fields.integer("socket_group", config.socket_file.group);
  return config;
}

std::shared_ptr<ContextCore> make_context(const std::string& app_name, bool publish,
                                          unsigned max_unidentified_connections, py::object log) {
  memif::ContextConfig config;
  config.app_name = app_name;
  config.publish = publish;
  config.max_unidentified_connections = max_unidentified_connections;
  if (!log.is_none()) {
    config.log = [log = std::make_shared<AnyThreadRef>(std::move(log))](memif::LogLevel level, std::string_view text) {
      static constexpr const char* names[] = {"debug", "info", "warning", "error"};
      const Gil gil;
      try {
        log->get()(names[static_cast<int>(level)], py::str(text.data(), text.size()));
      } catch (py::error_already_set& error) {
        error.restore();
        PyErr_WriteUnraisable(log->get().ptr());
      } catch (const std::exception&) {  // out of memory
      }
    };
  }
  return ContextCore::start(std::move(config));
}

// --- What Python gets told ---

template <class Totals, class Counters>
py::dict totals(const Counters& counters) {
  py::dict result;
  for (const auto& one : Counters::table) result[one.name] = (counters.*one.value).get();
  return result;
}

py::object credentials(const memif::Credentials& who) { return py::make_tuple(who.pid, who.uid, who.gid); }

py::dict to_python(const memif::RingInfo& ring) {
  py::dict result;
  result["queue"] = ring.queue;
  result["ring_size"] = ring.ring_size;
  result["buffer_size"] = ring.buffer_size;
  result["region"] = ring.region;
  result["offset"] = ring.offset;
  result["head"] = ring.head;
  result["tail"] = ring.tail;
  result["flags"] = ring.flags;
  return result;
}

py::dict to_python(const memif::RegionInfo& region) {
  py::dict result;
  result["index"] = region.index;
  result["size"] = region.size;
  result["external"] = region.external;
  result["sealed"] = region.sealed;
  return result;
}

template <class T>
py::list to_python(const std::vector<T>& values) {
  py::list result;
  for (const T& value : values) result.append(to_python(value));
  return result;
}

// Names come from peers: any bytes.
py::str from_peer(const std::string& text) {
  PyObject* const decoded = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

py::dict to_python(const memif::InterfaceInfo& info) {
  py::dict result;
  result["connected"] = info.connected;
  result["peer"] = py::none();
  if (info.peer)
    result["peer"] = py::make_tuple(from_peer(info.peer->app_name), from_peer(info.peer->interface_name),
                                    info.peer->version, credentials(info.peer->credentials));
  result["regions"] = to_python(info.regions);
  result["rx"] = to_python(info.rx);
  result["tx"] = to_python(info.tx);
  result["connects"] = info.connects;
  result["disconnects"] = info.disconnects;
  result["refusals"] = info.refusals;
  result["last_reason"] = info.last_reason ? memif_python::to_python(*info.last_reason) : py::none();
  return result;
}

py::object own_attribute(const char* module, const char* name) { return py::module_::import(module).attr(name); }

void translate(std::exception_ptr raised) {
  try {
    if (raised) std::rethrow_exception(std::move(raised));
  } catch (const memif::Exception& error) {
    const bool own = error.code().category() == memif::memif_category();
    const py::object made =
        own_attribute("memif._types", "make_error")(own, error.code().value(), from_peer(error.what()));
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.ptr())), made.ptr());
  }
}

}  // namespace

py::object to_python(const memif::Reason& reason) {
  const bool own = reason.code.category() == memif::memif_category();
  return own_attribute("memif._info", "make_reason")(own, reason.code.value(), reason.from_peer,
                                                     from_peer(reason.text));
}

PYBIND11_MODULE(_memif, module) {
  watch_forks();
  py::register_exception_translator(translate);
  module.attr("version") = std::to_string(MEMIFPP_VERSION_MAJOR) + "." + std::to_string(MEMIFPP_VERSION_MINOR) + "." +
                           std::to_string(MEMIFPP_VERSION_PATCH);
  module.def("stop_all", &ContextCore::stop_all);

  py::class_<ContextCore, std::shared_ptr<ContextCore>>(module, "Context")
      .def(py::init(&make_context))
      .def("stop", &ContextCore::stop)
      .def_property_readonly("closed", &ContextCore::stopping);

  py::class_<Event, std::shared_ptr<Event>>(module, "Watch").def("fileno", &Event::fd).def("clear", &Event::clear);

  py::class_<InterfaceCore, std::shared_ptr<InterfaceCore>>(module, "Interface")
      .def(py::init([](std::shared_ptr<ContextCore> context, const py::dict& keywords, py::object on_connected,
                       py::object on_disconnected, py::object on_refused) {
        return InterfaceCore::add(std::move(context), interface_config(keywords),
                                  {std::move(on_connected), std::move(on_disconnected), std::move(on_refused)});
      }))
      .def("close", &InterfaceCore::close)
      .def_property_readonly("closed", &InterfaceCore::closed)
      .def_property_readonly("connected", &InterfaceCore::connected)
      .def("wait_connected",
           [](InterfaceCore& self, const py::object& timeout) { return self.wait_connected(Deadline(timeout)); })
      .def("connect", &InterfaceCore::connect)
      .def("disconnect", &InterfaceCore::disconnect)
      .def("info", [](InterfaceCore& self) { return to_python(self.info()); })
      .def("watch", &InterfaceCore::watch)
      .def_property_readonly("socket", [](const InterfaceCore& self) { return self.config().socket; })
      .def_property_readonly("id", [](const InterfaceCore& self) { return self.config().id; })
      .def_property_readonly("role", [](const InterfaceCore& self) { return to_string(self.config().role); })
      .def_property_readonly("mode", [](const InterfaceCore& self) { return to_string(self.config().mode); })
      .def_property_readonly("name", [](const InterfaceCore& self) { return self.config().name; })
      .def("rx",
           [](const std::shared_ptr<InterfaceCore>& self) {
             py::list queues;
             for (std::size_t i = 0; i != self->rx().size(); ++i) queues.append(std::make_shared<RxCore>(self, i));
             return py::tuple(queues);
           })
      .def("tx", [](const std::shared_ptr<InterfaceCore>& self) {
        py::list queues;
        for (std::size_t i = 0; i != self->tx().size(); ++i) queues.append(std::make_shared<TxCore>(self, i));
        return py::tuple(queues);
      });

  constexpr std::size_t usual = 256;
  py::class_<RxCore, std::shared_ptr<RxCore>>(module, "RxQueue", R"(A receive queue: `Interface.rx[i]`.

Any thread may use it, one at a time; a second one gets RuntimeError. While there is no link it has no packets; it
goes on by itself with the next link.

>>> with memif.pair() as (a, b):
...     _ = a.tx[0].send([b'x' * 64])
...     b.rx[0].receive_bytes(timeout=5.0)[0][:4]
b'xxxx')")
      .def("receive", &RxCore::receive, py::arg("max_packets") = usual, py::arg("timeout") = 0.0,
           R"(Returns a Burst of up to `max_packets` packets, without copying them.

If there are none, waits up to `timeout` seconds for the first (None: without end); an empty burst is what it returns
then. Ends the burst before: BufferError if a part of that is in use. A packet of more than 512 buffers (or more than
max_packets, if that is more) is dropped and counted as dropped_long.

>>> with memif.pair() as (a, b):
...     _ = a.tx[0].send([b'one', b'two'])
...     for packet in b.rx[0].receive(timeout=5.0):
...         bytes(packet)
b'one'
b'two')")
      .def("receive_bytes", &RxCore::receive_bytes, py::arg("max_packets") = usual, py::arg("timeout") = 0.0,
           R"(As receive(), but returns a list of copies.

>>> with memif.pair() as (a, b):
...     _ = a.tx[0].send([b'one', b'two'])
...     b.rx[0].receive_bytes(timeout=5.0)
[b'one', b'two'])")
      .def("wait", &RxCore::wait, py::arg("timeout") = py::none(),
           R"(Waits up to `timeout` seconds until there is a packet, and returns whether there is. Ends the last burst.

>>> with memif.pair() as (a, b):
...     b.rx[0].wait(timeout=0.01)
False)")
      .def_property_readonly("pending", &RxCore::pending, R"(Whether receive() would return something now.

>>> with memif.pair() as (a, b):
...     b.rx[0].pending
False)")
      .def("fileno", &RxCore::fd, R"(A descriptor for select, poll and epoll, the same over all links.

After arm() has returned True it becomes readable when packets come, the link changes, or the interface is closed. It
stays the queue's.

>>> with memif.pair() as (a, b):
...     b.rx[0].fileno() >= 0
True)")
      .def("arm", &RxCore::arm, R"(Asks for fileno() to become readable. False: there are packets now, do not wait.

>>> import select
>>> with memif.pair() as (a, b):
...     rx = b.rx[0]
...     _ = a.tx[0].send([b'one'])
...     if rx.arm():
...         _ = select.select([rx], [], [], 5.0)
...     rx.disarm()
...     rx.receive_bytes()
[b'one'])")
      .def("disarm", &RxCore::disarm, R"(To be called after a wait for fileno().

>>> with memif.pair() as (a, b):
...     b.rx[0].disarm())")
      .def_property(
          "mode", [](const RxCore& self) { return to_string(self.mode()); },
          [](const RxCore& self, const py::object& word) {
            memif::RxMode mode{};
            py::dict fields;
            fields["mode"] = word;
            Fields(fields).choice("mode", mode,
                                  {memif::RxMode::polling, memif::RxMode::interrupt, memif::RxMode::adaptive});
            self.set_mode(mode);
          },
          R"(How it waits: 'polling', 'interrupt' or 'adaptive'. Can be set at any time.

>>> with memif.pair() as (a, b):
...     b.rx[0].mode
'adaptive')")
      .def("_counters", [](const RxCore& self) { return totals<memif::RxTotals>(self.counters()); });

  py::class_<TxCore, std::shared_ptr<TxCore>>(module, "TxQueue", R"(A transmit queue: `Interface.tx[i]`.

Any thread may use it; several take turns. While there is no link it sends nothing.

>>> with memif.pair() as (a, b):
...     a.tx[0].send([b'one', bytearray(b'two')])
2)")
      .def("send", &TxCore::send, py::arg("packets"), py::arg("timeout") = 0.0,
           R"(Sends packets in order, as long as the ring has free slots, and returns how many were sent.

`packets` is an iterable of bytes-like objects, a Burst, or a two-dimensional array with a packet in each row. Waits up
to `timeout` seconds (None: without end) for free slots. A packet longer than a buffer takes several. ValueError: a
packet is empty, or longer than the whole ring; those before it were sent.

>>> with memif.pair() as (a, b):
...     a.tx[0].send([b'x' * 5000], timeout=5.0)
...     len(b.rx[0].receive_bytes(timeout=5.0)[0])
1
5000)")
      .def_property_readonly("room", &TxCore::room, R"(The number of free slots of the ring.

>>> with memif.pair() as (a, b):
...     a.tx[0].room
1024)")
      .def("_counters", [](const TxCore& self) { return totals<memif::TxTotals>(self.counters()); });

  add_burst_types(module);
}

}  // namespace memif_python
