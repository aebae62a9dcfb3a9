/* One ring: pairing A of include/memif/ring.hpp, and the arithmetic of indices that wrap.
 *
 * `sent` is the sender's index (head of an S2M ring, tail of an M2S ring), `returned` the receiver's. Descriptors and
 * packet bytes are one value a slot: the full index it was written for, so that a stale or an early value shows. A
 * side's stores reach memory in any order, except that an index stored with release comes after what its side wrote
 * before. The model runs for ever and its states repeat, so the search covers every wrap.
 *
 *   RING, INDICES       slots, and the values an index can have (65536 in truth)
 *   POSTED              an M2S ring: the receiver returns slots by posting them, one ring length ahead
 *
 * Claim: the receiver sees each value once, in order, and it stays as it is until its slot is given back; an index is
 * never further than the ring is long from where its reader expects it; neither side ever waits for ever. Each of
 * these must break it:
 *   NO_SENDER_RELEASE   the index may become visible before the descriptors
 *   NO_ACQUIRE          the receiver may have loaded the descriptor before the index
 *   NO_RECEIVER_RELEASE the receiver may still be reading when its index is visible
 *   IGNORE_FULL         the sender does not look how much room there is
 *   INDICES == RING     indices cannot tell a full ring from an empty one
 */
#ifndef RING
#define RING 2
#endif
#ifndef INDICES
#define INDICES 4
#endif
#define distance(to, from) ((to + 2 * INDICES - from) % INDICES)
#define slot(index) ((index) % RING)

byte memory[RING] = 255;
byte sent = 0;
#ifdef POSTED
#define free_slots(returned, next) distance(returned, next)
#define returned_index(released) ((released + RING) % INDICES)
byte returned = RING % INDICES;
#else
#define free_slots(returned, next) distance((returned + RING) % INDICES, next)
#define returned_index(released) (released)
byte returned = 0;
#endif

/* Stores on their way. */
bool value_waits[RING];
byte value_of[RING];
bool sent_waits = false;
byte sent_value;
bool returned_waits = false;
byte returned_value;
byte values_waiting = 0;

active proctype stores() {
  byte i;
end:
  do
  :: atomic {
       values_waiting > 0 ->
       i = 0;
       do
       :: i < RING && value_waits[i] -> memory[i] = value_of[i]; value_waits[i] = false; values_waiting--; break
       :: i < RING - 1 -> i++
       :: i == RING - 1 && !value_waits[i] -> break
       od;
       i = 0
     }
#ifdef NO_SENDER_RELEASE
  :: atomic { sent_waits -> sent = sent_value; sent_waits = false }
#else
  :: atomic { sent_waits && values_waiting == 0 -> sent = sent_value; sent_waits = false }
#endif
  :: atomic { returned_waits -> returned = returned_value; returned_waits = false }
  od
}

active proctype sender() {
  byte next = 0, room, count;
  do
  :: room = free_slots(returned, next);  /* the one load of the peer's index */
     assert(room <= RING);
#ifdef IGNORE_FULL
     room = RING;
#endif
     if
     :: room > 0 ->
        count = 0;
        do  /* a burst of 1..room */
        :: count < room ->
           atomic {
             !value_waits[slot(next)];
             value_waits[slot(next)] = true;
             value_of[slot(next)] = next;
             values_waiting++
           };
           next = (next + 1) % INDICES;
           count++
        :: count > 0 -> break
        od;
        atomic { !sent_waits -> sent_waits = true; sent_value = next }
     :: else ->
        free_slots(returned, next) > 0  /* until there is room: a wait for ever is a deadlock, and found */
     fi
  od
}

active proctype receiver() {
  byte next = 0, released = 0, limit, early;
  do
  :: /* look and take one, or give one back */
     if
     :: next == released -> goto take
     :: distance(next, released) < RING -> goto take
     :: next != released -> goto give
     fi;
take:
#ifdef NO_ACQUIRE
     early = memory[slot(next)];
#endif
     limit = sent;
     assert(distance(limit, released) <= RING);
     if
     :: limit == next ->
        if
        :: next != released -> goto give
        :: else -> sent != next
        fi
     :: else ->
#ifndef NO_ACQUIRE
        early = memory[slot(next)];
#endif
        assert(early == next);
        next = (next + 1) % INDICES
     fi;
     goto again;
give:
#ifndef NO_RECEIVER_RELEASE
     assert(memory[slot(released)] == released);  /* unchanged while it was held */
     atomic { !returned_waits -> returned_waits = true; returned_value = returned_index((released + 1) % INDICES) };
#else
     atomic { !returned_waits -> returned_waits = true; returned_value = returned_index((released + 1) % INDICES) };
     assert(memory[slot(released)] == released);
#endif
     released = (released + 1) % INDICES;
again:
     early = 0; limit = 0
  od
}
