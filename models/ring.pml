/* One ring: pairing A of include/memif/detail/ring.hpp, and the arithmetic of indices that wrap.
 *
 * `sent` is the sender's index (head of an S2M ring, tail of an M2S ring), `returned` the receiver's. Descriptors and
 * packet bytes are one value a slot: the full index it was written for, so that a stale or an early value shows. Memory
 * is that of weak.inc. The model runs without end and its states repeat, so the search covers every wrap.
 *
 *   INDICES             the values an index can have (65536 in truth); there are RING slots
 *   POSTED              an M2S ring: the receiver returns slots by posting them, one ring length ahead
 *
 * Claim: the receiver sees each value once, in order, and it stays as it is until its slot is given back; an index is
 * never further than the ring is long from where its reader expects it; neither side ever waits without end. Each of
 * these must break it:
 *   NO_SENDER_RELEASE   publish(): the index may become visible before the descriptors
 *   NO_ACQUIRE          load_peer_index() of the receiver: the descriptors may have been loaded before the index
 *   NO_RECEIVER_RELEASE publish(): the receiver may still be reading when its index is visible
 *   NO_SENDER_ACQUIRE   load_peer_index() of the sender: it may write a slot before it has the index that frees it.
 *                       ARMv8 makes no store before the load that decides about it, a compiler may
 *   IGNORE_FULL         the sender does not look how many slots are free
 *   INDICES=2             indices cannot tell a full ring from an empty one
 */
#define RING 2
#ifndef INDICES
#define INDICES 4
#endif
#define distance(to, from) ((to + 2 * INDICES - from) % INDICES)
#define slot(index) ((index) % RING)
#define following(index) ((index + 1) % INDICES)

#define THREADS 2
#define SENDER 0
#define RECEIVER 1

/* Slots come first. */
#define SENT RING
#define RETURNED (RING + 1)
#define LOCATIONS (RING + 2)
#define WAITING (RING + 1)
#include "weak.inc"

#ifdef NO_SENDER_RELEASE
#define SENT_ORDER RELAXED
#else
#define SENT_ORDER RELEASE
#endif
#ifdef NO_RECEIVER_RELEASE
#define RETURNED_ORDER RELAXED
#else
#define RETURNED_ORDER RELEASE
#endif

#ifdef POSTED
#define free_slots(returned, next) distance(returned, next)
#define returned_index(released) ((released + RING) % INDICES)
#else
#define free_slots(returned, next) distance((returned + RING) % INDICES, next)
#define returned_index(released) (released)
#endif

proctype machine() {
end:
  do
  :: drain(SENDER, SENT)
  :: drain(SENDER, 0)
  :: drain(SENDER, 1)
  :: drain(RECEIVER, RETURNED)
  :: fetch(SENDER, RETURNED)
  :: fetch(RECEIVER, SENT)
  :: fetch(RECEIVER, 0)
  :: fetch(RECEIVER, 1)
  od
}

proctype sender() {
  byte next = 0, returned, room;
  do
  ::
#ifdef NO_SENDER_ACQUIRE
     store(SENDER, slot(next), next, RELAXED);         /* and takes the room that it has next for granted */
#endif
     load_acquire(SENDER, RETURNED, returned);         /* load_peer_index(): the one load of the peer's index */
     room = free_slots(returned, next);
     assert(room <= RING);
#ifdef IGNORE_FULL
     room = RING;
#endif
     if
     :: room > 0 ->
        do                                             /* a burst of so many, or fewer */
        :: room > 0 ->
           store(SENDER, slot(next), next, RELAXED);
           next = following(next);
           room--
        :: room > 0 -> break
        :: room == 0 -> break
        od;
        store(SENDER, SENT, next, SENT_ORDER)          /* publish() */
     :: else ->
        free_slots(memory[RETURNED], next) > 0         /* looks again until there is room: a wait without end is found */
     fi;
     returned = 0;
     room = 0
  od
}

proctype receiver() {
  byte next = 0, released = 0, limit, seen;
  do
  ::                                                   /* looks and takes one, or gives one back */
     if
     :: distance(next, released) < RING -> goto take
     :: next != released -> goto give
     fi;
take:
#ifdef NO_ACQUIRE
     load(RECEIVER, SENT, limit);
#else
     load_acquire(RECEIVER, SENT, limit);              /* load_peer_index() */
#endif
     assert(distance(limit, released) <= RING);
     if
     :: limit == next ->
        if
        :: next != released -> goto give
        :: else -> memory[SENT] != next
        fi
     :: else ->
        load(RECEIVER, slot(next), seen);              /* Ring::load(), and the packet's bytes */
        assert(seen == next);
        next = following(next)
     fi;
     goto again;
give:
#ifndef NO_RECEIVER_RELEASE
     load(RECEIVER, slot(released), seen);             /* the last look at what was held */
     assert(seen == released);
#endif
     store(RECEIVER, RETURNED, returned_index(following(released)), RETURNED_ORDER);  /* publish() */
#ifdef NO_RECEIVER_RELEASE
     load(RECEIVER, slot(released), seen);
     assert(seen == released);
#endif
     released = following(released);
again:
     seen = 0;
     limit = 0
  od
}

init {
  atomic {
    for (i_ : 0 .. RING - 1) { memory[i_] = 255 };
    memory[RETURNED] = returned_index(0);
    run machine();
    run sender();
    run receiver()
  }
}
