/* Sleeping and waking up: pairing B of include/memif/ring.hpp.
 *
 * A sender publishes its index and then looks whether the receiver asks for interrupts; a receiver asks for them and
 * then looks at the index again. Stores go through a first-in-first-out store buffer for each side, as on x86-64
 * (elsewhere they are freer still), so a load may overtake an earlier store of the same side. The fence waits for the
 * side's own stores.
 *
 * Claim: when nothing moves any more, the receiver has everything. Each of these must break it:
 *   NO_SENDER_FENCE     the sender looks at the flags while its index may still be on the way
 *   NO_RECEIVER_FENCE   the receiver looks at the index while its flags may still be on the way
 *   NO_RECHECK          the receiver sleeps without looking again
 */
#ifndef PACKETS
#define PACKETS 4
#endif

byte index = 0;      /* in shared memory: what the sender published */
bool masked = true;  /* in shared memory: MASK_INT */
bool event = false;  /* the eventfd is readable */
byte received = 0;

chan index_stores = [2] of { byte };  /* the sender's store buffer */
chan mask_stores = [2] of { bool };   /* the receiver's */

active proctype memory() {
  byte i;
  bool m;
end:
  do
  :: atomic { index_stores?i -> index = i }
  :: atomic { mask_stores?m -> masked = m }
  od
}

active proctype sender() {
  byte next = 0;
  do
  :: next == PACKETS -> break
  :: next < PACKETS ->
     next++;
     if
     :: next < PACKETS -> next++  /* a burst of two */
     :: skip
     fi;
     index_stores!next;           /* Ring::publish_to_receiver() */
#ifndef NO_SENDER_FENCE
     empty(index_stores);
#endif
     if
     :: !masked -> event = true   /* signal_interrupt() */
     :: masked -> skip
     fi
  od
}

active proctype receiver() {
  byte next = 0, seen;
  do
  :: next = index;                /* takes all there is */
     received = next;
     mask_stores!false;           /* Ring::unmask_and_look() */
#ifndef NO_RECEIVER_FENCE
     empty(mask_stores);
#endif
#ifndef NO_RECHECK
     seen = index;
     if
     :: seen != next -> mask_stores!true; goto again
     :: seen == next -> skip
     fi;
#endif
end_asleep:
     event;                       /* ppoll() */
     mask_stores!true;            /* Ring::mask_interrupts(): no fence, it only saves interrupts */
     event = false;               /* drain_interrupt() */
again:
     skip
  od
}

active proctype observer() {
  timeout -> assert(received == PACKETS)
}
