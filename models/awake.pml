/* Sleeping and staying awake: pairings B and C of include/memif/detail/ring.hpp.
 *
 * A sender publishes its index and then looks whether the receiver asks for interrupts; a receiver asks for them and
 * then looks at the index again (B). A receiver that means to poll promises so in its flags. A sender that has seen the
 * promise publishes its index without a fence and looks whether the flag is still there; before the receiver sleeps it
 * takes the flag back and has the sender pass a fence (C). The receiver promises, takes it back, masks interrupts
 * without a promise and sleeps in any order and number, until it sleeps for good; the sender learns of a promise
 * whenever it looks. Memory is that of weak.inc.
 *
 *   NO_PROMISES         pairing B alone: wake-up
 *
 * Claim: when nothing moves any more, the receiver has everything. Each of these must break it, those of B also with
 * NO_PROMISES:
 *   INDEX_RELEASE       B: the sender stores the index with release only
 *   FLAGS_RELAXED       B: the sender loads the flags without an order
 *   FLAGS_ACQUIRE       B: the sender loads the flags with acquire only
 *   UNMASK_RELEASE      B: the receiver stores the flags with release only
 *   LOOK_ACQUIRE        B: the receiver loads the index with acquire only
 *   NO_RECHECK          B, C: the receiver sleeps without looking again
 *   NO_ASYMMETRIC_FENCE     C: the receiver looks at the index while the sender may be between its store and its look
 *   LOOK_FIRST          C: the sender looks at the flags, then publishes (its fence against the compiler is missing)
 *   FORGET              C: a receiver that masks interrupts without a promise takes the fence to be due no more
 *   FENCE_EARLY         C: the receiver has the sender pass the fence, then takes the flag back
 */
#ifndef PACKETS
#define PACKETS 3
#endif

#define THREADS 2
#define SENDER 0
#define RECEIVER 1

#define LOCATIONS 2
#define INDEX 0
#define FLAGS 1
#define MASK 1   /* wire::ring_flag_mask_interrupt */
#define AWAKE 2  /* wire::ring_flag_awake */

#define WAITING 3
#include "weak.inc"

#ifdef INDEX_RELEASE
#define INDEX_ORDER RELEASE
#else
#define INDEX_ORDER SEQ_CST
#endif
#ifdef UNMASK_RELEASE
#define UNMASK_ORDER RELEASE
#else
#define UNMASK_ORDER SEQ_CST
#endif

bool event = false; /* the eventfd is readable */
byte received = 0;

proctype machine() {
end:
  do
  :: drain(SENDER, INDEX)
  :: drain(RECEIVER, FLAGS)
  :: fetch(SENDER, FLAGS)
  :: fetch(RECEIVER, INDEX)
  od
}

proctype sender() {
  byte next = 0, seen;
  bool awake = false;             /* Ring::awake_ of a sender: what it saw last */
  do
  :: next == PACKETS -> break
  :: next < PACKETS ->
     next++;
     if
     :: next < PACKETS -> next++  /* a burst of two */
     :: skip
     fi;
     /* Ring::publish_to_receiver() */
     if
     :: awake ->
#ifdef LOOK_FIRST
        load(SENDER, FLAGS, seen);
        store(SENDER, INDEX, next, RELEASE);
#else
        store(SENDER, INDEX, next, RELEASE);
        load(SENDER, FLAGS, seen);
#endif
        if
        :: seen & AWAKE -> goto published
        :: else
        fi
     :: else
     fi;
     store(SENDER, INDEX, next, INDEX_ORDER);
#ifdef FLAGS_RELAXED
     load(SENDER, FLAGS, seen);
#else
#ifdef FLAGS_ACQUIRE
     load_acquire(SENDER, FLAGS, seen);
#else
     load_seq_cst(SENDER, FLAGS, seen);
#endif
#endif
     awake = (seen & AWAKE) != 0;
     if
     :: !(seen & MASK) -> fence(SENDER); event = true  /* TxQueue::notify(): the kernel's locks are fences */
     :: else
     fi;
published:
     seen = 0
  od
}

inline mask_interrupts() {        /* Ring::mask_interrupts() */
  store(RECEIVER, FLAGS, MASK, RELAXED);
#ifdef FORGET
  awake = false
#endif
}

proctype receiver() {
  byte next = 0, seen;
  bool awake = false;             /* Ring::awake_ of a receiver: a fence is due */
  do
  :: load_acquire(RECEIVER, INDEX, next);  /* RxQueue::take(): all there is */
     received = next;
     do
#ifndef NO_PROMISES
     :: awake = true;             /* Ring::stay_awake(): RxQueue::mask_interrupts(), found_awake() */
        store(RECEIVER, FLAGS, MASK | AWAKE, RELAXED)
#endif
     :: mask_interrupts()         /* RxQueue::refresh(), disarm(), remind() */
     :: break
     od;
     if
     :: goto again                /* polls */
     :: skip                      /* RxQueue::arm() */
     fi;
     /* Ring::unmask_and_look() */
#ifdef FENCE_EARLY
     if
     :: awake -> fence(SENDER); awake = false
     :: else
     fi;
#endif
     store(RECEIVER, FLAGS, 0, UNMASK_ORDER);
     if
     :: awake ->
#ifndef NO_ASYMMETRIC_FENCE
        fence(RECEIVER);          /* asymmetric_fence() */
        fence(SENDER);
#endif
        awake = false
     :: else
     fi;
#ifndef NO_RECHECK
#ifdef LOOK_ACQUIRE
     load_acquire(RECEIVER, INDEX, seen);
#else
     load_seq_cst(RECEIVER, INDEX, seen);
#endif
     if
     :: seen != next -> seen = 0; mask_interrupts(); goto again
     :: else -> seen = 0
     fi;
#endif
end_asleep:
     event;                       /* RxQueue::sleep(): ppoll() */
     fence(RECEIVER);
     mask_interrupts();
     event = false;               /* drain_interrupt() */
again:
     skip
  od
}

proctype observer() {
  timeout -> assert(received == PACKETS)
}

init {
  atomic {
    memory[FLAGS] = MASK;
    run machine();
    run sender();
    run receiver();
    run observer()
  }
}
