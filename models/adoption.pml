/* Links that change hands: include/memif/detail/queue.hpp, Queues::set_link() and Queue::adopt_link().
 *
 * The control thread puts another link, or none, in the place of the present one, and clears the word user_ of the queue;
 * the queue's thread looks at that word at each burst, and if it is cleared puts itself there, takes the present link and
 * lets go of the one that it had. It keeps the link that it works on alive by a reference of its own. Both touch the
 * present link under a mutex: whoever locks it acquires, whoever unlocks it releases. Memory is that of weak.inc; counts of
 * references are read-modify-writes, which act on memory itself.
 *
 * Claim: no burst touches memory that is not mapped; a change is never missed; nothing stays mapped that nobody holds.
 * Each of these must break it:
 *   NO_REFERENCE        the queue works on the present link without holding it
 *   TAKE_OVER_LATE      the queue puts itself into the word after it has read the present link
 *   CLEAR_EARLY         the control thread clears the word before the new link is there, outside the mutex
 *   UNLOCK_RELAXED      the mutex of the control thread: the link may come after it is unlocked
 *   LOCK_RELAXED        the mutex of the queue's thread: the link may have been loaded before it was locked
 *
 * These orders are more than the processor needs, since the mutex does their work; the claim holds without both:
 *   CLEAR_RELAXED       user_.store(nullptr), with release in the code
 *   LOOK_RELAXED        user_.load(), with acquire in the code
 */
#define LINKS 3  /* made one after the other; 0 is none */

#define THREADS 2
#define CONTROL 0
#define QUEUE 1

#define LOCATIONS 3
#define USER 0     /* whether the queue's thread is in the word */
#define PRESENT 1  /* Queues::link_ */
#define LOCKED 2
#define WAITING 4
#include "weak.inc"

#ifdef UNLOCK_RELAXED
#define CONTROL_UNLOCK RELAXED
#else
#define CONTROL_UNLOCK RELEASE
#endif
#ifdef CLEAR_RELAXED
#define CLEAR RELAXED
#else
#define CLEAR RELEASE
#endif

byte references[LINKS + 1];
bool mapped[LINKS + 1];
byte truth = 0;  /* the last link that was put there */
bool over = false;

inline lock(thread) {
  atomic {
    memory[LOCKED] == false && own[thread].at[LOCKED] == 0;
    memory[LOCKED] = true;
    d_step { forget_all(thread) }
  }
}
inline lock_relaxed(thread) {
  atomic {
    memory[LOCKED] == false && own[thread].at[LOCKED] == 0;
    memory[LOCKED] = true
  }
}
inline unlock(thread, order) { store(thread, LOCKED, false, order) }
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

active proctype machine() {
end:
  do
  :: drain(CONTROL, USER)
  :: drain(CONTROL, PRESENT)
  :: drain(CONTROL, LOCKED)
  :: drain(QUEUE, LOCKED)
  :: fetch(QUEUE, USER)
  :: fetch(QUEUE, PRESENT)
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
#ifdef CLEAR_EARLY
     store(CONTROL, USER, false, CLEAR);
#endif
     lock(CONTROL);
     load(CONTROL, PRESENT, former);
     store(CONTROL, PRESENT, next, RELAXED);
     truth = next;
#ifndef CLEAR_EARLY
     store(CONTROL, USER, false, CLEAR);
#endif
     unlock(CONTROL, CONTROL_UNLOCK);
     let_go(former);
     former = 0
  :: made == LINKS -> break
  od;
  fence(CONTROL);
  over = true
}

/* Queue::take_over(): an exchange, which acquires and releases. */
inline take_over() {
  atomic {
    empty(waiting[QUEUE]);
    memory[USER] = true;
    d_step { forget_all(QUEUE) }
  }
}

active proctype queue() {
  byte mine = 0, taken, seen;
  bool all_made;
  do
  :: all_made = over;  /* of the control thread's changes all are made before this look */
#ifdef LOOK_RELAXED
     load(QUEUE, USER, seen);
#else
     load_acquire(QUEUE, USER, seen);
#endif
     if
     :: seen ->
        assert(mine == 0 || mapped[mine]);  /* a burst */
        if
        :: all_made && memory[USER] -> assert(mine == truth); break
        :: else
        fi
     :: else ->
#ifndef TAKE_OVER_LATE
        take_over();
#endif
#ifdef LOCK_RELAXED
        lock_relaxed(QUEUE);
#else
        lock(QUEUE);
#endif
        load(QUEUE, PRESENT, taken);
#ifndef NO_REFERENCE
        hold(taken);
#endif
        unlock(QUEUE, RELEASE);
#ifdef TAKE_OVER_LATE
        take_over();
#endif
#ifndef NO_REFERENCE
        let_go(mine);
#endif
        mine = taken;
        taken = 0
     fi;
     seen = 0
  od;
#ifndef NO_REFERENCE
  let_go(mine);
#endif
  let_go(truth);
  assert(!mapped[1] && !mapped[2] && !mapped[3])
}
