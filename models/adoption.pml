/* Links that change hands: include/memif/detail/queue.hpp, Port::set_link() and Queue::adopt_link().
 *
 * The control thread puts another link, or none, in the place of the present one, and raises the queue's attention;
 * the queue's thread keeps the link that it works on alive by a reference of its own, and changes at its next burst.
 * Both touch the port's link under a mutex. The queue's store that lowers its attention may be delayed, but not beyond
 * the mutex's release.
 *
 * Claim: no burst touches memory that is not mapped; a change is never missed; nothing stays mapped that nobody holds.
 * Each of these must break it:
 *   NO_REFERENCE        the queue works on the port's link without holding it
 *   LOWER_LATE          the queue lowers its attention after it has read the port's link
 *   RAISE_EARLY         the control thread raises the attention before the new link is there, outside the mutex
 */
#define LINKS 3  /* made one after the other; 0 is none */

byte references[LINKS + 1];
bool mapped[LINKS + 1];
byte present = 0;  /* the port's */
bool attention = true;
bool lowering = false;  /* a store on its way */
bool locked = false;
bool over = false;

inline lock() { atomic { !locked -> locked = true } }
inline unlock() { locked = false }
inline hold(link) { atomic { if :: link != 0 -> references[link]++ :: else fi } }
inline let_go(link) {
  atomic {
    if
    :: link != 0 ->
       references[link]--;
       if
       :: references[link] == 0 -> mapped[link] = false
       :: else
       fi
    :: else
    fi
  }
}

active proctype stores() {
end:
  do
  :: atomic { lowering -> attention = false; lowering = false }
  od
}

active proctype control() {
  byte made = 0, next, former;
  do
  :: made < LINKS ->
     if
     :: atomic { made++; next = made; mapped[next] = true; references[next] = 1 }
     :: next = 0
     fi;
#ifdef RAISE_EARLY
     attention = true;
#endif
     lock();
     former = present;
     present = next;
#ifndef RAISE_EARLY
     attention = true;
#endif
     unlock();
     let_go(former)
  :: made == LINKS -> break
  od;
  over = true
}

active proctype queue() {
  byte mine = 0, taken;
  do
  :: atomic { !attention && over && !lowering -> assert(mine == present) }; break
  :: !attention ->
burst:
     if
     :: mine != 0 -> assert(mapped[mine])
     :: else
     fi
  :: attention ->
#ifndef LOWER_LATE
     lowering = true;
#endif
     lock();
     taken = present;
#ifndef NO_REFERENCE
     hold(taken);
#endif
     !lowering;  /* the mutex's release */
     unlock();
#ifdef LOWER_LATE
     lowering = true;
     !lowering;
#endif
#ifndef NO_REFERENCE
     let_go(mine);
#endif
     mine = taken
  od;
#ifndef NO_REFERENCE
  let_go(mine);
#endif
  lock();
  taken = present;
  present = 0;
  unlock();
  let_go(taken);
  assert(!mapped[1] && !mapped[2] && !mapped[3])
}
