// Queues in parts, for language bindings and for applications that keep buffers over several calls: RxQueue::raw() and
// TxQueue::raw(). What RxQueue and TxQueue do is made of these, and the C API as well.
//
// A receiver takes buffers and releases them later, the oldest first. A sender peeks at free buffers, fills them and
// publishes them, in order. Sinks and sources describe buffers to the inlined loops: small callables and values of the
// caller's, which write or read its own kind of buffer. Nothing is handed out twice, nothing waits, nothing throws.
// What one thread may do with a queue is as for RxQueue and TxQueue; so is what becomes of buffers when the link goes:
// epoch() tells one link from the next, and buffers of a former one must not be touched after the queue's next call.
//
// Not to be mixed with bursts of the same queue that are alive.
#pragma once

#include <memif/detail/raw_rx.hpp>
#include <memif/detail/raw_tx.hpp>
