/* Staying awake: pairing C of include/memif/ring.hpp, together with pairing B, into which it falls back.
 *
 * A receiver that means to poll says so in its flags. A sender that has seen it publishes its index without a fence and
 * looks whether the flag is still there. Before the receiver sleeps it takes the flag back and has the sender pass a
 * fence. Store buffers are those of wakeup.pml. A remote fence is over once it has seen the other side's buffer empty:
 * whatever that side does afterwards, it does with all earlier stores in memory.
 *
 * The receiver promises, takes it back, masks interrupts without a promise and sleeps in any order and number, until it
 * sleeps for good; the sender learns of a promise whenever it looks.
 *
 * Claim: when nothing moves any more, the receiver has everything. Each of these must break it:
 *   NO_REMOTE_FENCE     the receiver looks at the index while the sender may be between its store and its look
 *   NO_RECHECK          the receiver sleeps without looking again
 *   LOOK_FIRST          the sender looks at the flags, then publishes
 *   FORGET              a receiver that masks interrupts without a promise takes the fence to be due no more
 *   FENCE_EARLY         the receiver has the sender pass the fence, then takes the flag back
 */
#ifndef PACKETS
#define PACKETS 4
#endif

#define MASK 1   /* wire::ring_flag_mask_interrupt */
#define AWAKE 2  /* wire::ring_flag_awake */

byte index = 0;     /* in shared memory: what the sender published */
byte flags = MASK;  /* in shared memory: the receiver's */
bool event = false; /* the eventfd is readable */
byte received = 0;

chan index_stores = [2] of { byte }; /* the sender's store buffer */
chan flags_stores = [2] of { byte }; /* the receiver's */

active proctype memory() {
  byte value;
end:
  do
  :: atomic { index_stores?value -> index = value; value = 0 }
  :: atomic { flags_stores?value -> flags = value; value = 0 }
  od
}

active proctype sender() {
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
        seen = flags;
        index_stores!next;
#else
        index_stores!next;        /* publish(index) */
        seen = flags;             /* load(relaxed) & ring_flag_awake */
#endif
        if
        :: seen & AWAKE -> goto published
        :: else
        fi
     :: else
     fi;
     index_stores!next;           /* store(index, seq_cst) */
     empty(index_stores);
     seen = flags;                /* flags = load(seq_cst) */
     awake = (seen & AWAKE) != 0; /* awake_ = */
     if
     :: !(seen & MASK) -> event = true  /* TxQueue::notify() */
     :: else
     fi;
published:
     seen = 0
  od
}

inline mask_interrupts() {        /* Ring::mask_interrupts() */
  flags_stores!MASK;
#ifdef FORGET
  awake = false
#endif
}

active proctype receiver() {
  byte next = 0, seen;
  bool awake = false;             /* Ring::awake_ of a receiver: a fence is due */
  do
  :: next = index;                /* RxQueue::take(): all there is */
     received = next;
     do
     :: awake = true;             /* Ring::stay_awake(): RxQueue::mask_interrupts(), found_awake() */
        flags_stores!(MASK | AWAKE)
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
     :: awake -> empty(index_stores); awake = false
     :: else
     fi;
#endif
     flags_stores!0;              /* store(0, seq_cst) */
     empty(flags_stores);
     if
     :: awake ->
#ifndef NO_REMOTE_FENCE
        empty(index_stores);      /* remote_fence() */
#endif
        awake = false
     :: else
     fi;
#ifndef NO_RECHECK
     seen = index;                /* load(seq_cst) */
     if
     :: seen != next -> seen = 0; mask_interrupts(); goto again
     :: else -> seen = 0
     fi;
#endif
end_asleep:
     event;                       /* RxQueue::sleep(): ppoll() */
     mask_interrupts();
     event = false;               /* drain_interrupt() */
again:
     skip
  od
}

active proctype observer() {
  timeout -> assert(received == PACKETS)
}
