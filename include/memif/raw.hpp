// Queues in parts, for language bindings and for applications that keep buffers over several calls: RxQueue::raw() and
// TxQueue::raw(). RxQueue, TxQueue and the C API are made of these parts.
//
// A receiver takes buffers and releases them later, the oldest first. A sender peeks at free buffers, fills them and
// publishes them, in order. Sinks and sources describe buffers to the inlined loops: small callables and values of the
// caller's, which write or read its own kind of buffer. Nothing is handed out twice, nothing waits, nothing throws. The
// rules for threads are those of RxQueue and TxQueue; so are the rules for buffers when the link goes: epoch() tells
// one link from the next, and buffers of a former link must not be touched after the queue's next call.
//
// Do not mix these calls with bursts of the same queue that are alive.
#pragma once

#include <memif/detail/raw_rx.hpp>
#include <memif/detail/raw_tx.hpp>
