/* The lock of a queue in the C API: capi/core/queue_lock.hpp.
 *
 * Two threads make data calls, so many each; whoever has the queue in turn may become its owner at the end of that call,
 * as if it had taken it often in a row. What a call leaves behind, DATA, is for the next one to see. Memory is that of
 * weak.inc. An asymmetric fence is one of the caller, one of the other thread and one of the caller again, as the kernel makes
 * them.
 *
 *   NO_FENCES           a system without asymmetric fences: nobody becomes the owner
 *   NAMES               in place of DATA: the name of a place, its thread, which is there before it is an owner's
 *
 * Claim: one thread at a time uses the queue, sees what the one before has left, and whoever wants the queue gets it
 * when the other stops; whoever finds the owner's place finds its name. Each of these must break it:
 *   NO_ASYMMETRIC_FENCE     who ends an ownership does not have the owner pass a fence
 *   NO_WAIT             who ends an ownership does not wait for the owner's mark to go
 *   NO_LOOK             an owner does not look at whether it still is one once its mark is there
 *   LOOK_FIRST          an owner looks before its mark is there (its fence against the compiler is missing)
 *   NO_BACK_OFF         one that is owner no more takes its turn and leaves its mark
 *   ONE_PLACE           all owners mark the same place: a late one takes another's mark back with its own
 *   TAKE_RELAXED        turn_taken_.exchange(): what the former holder has left may have been loaded before
 *   GIVE_RELAXED        turn_taken_.store(): what this holder leaves may come later
 *   UNMARK_RELAXED      held.store(false): the same of an owner
 *   AWAIT_RELAXED       held.load(): what the owner has left may have been loaded before
 *   NAME_RELAXED        owner_.store(place), with NAMES: the name may come later
 *   KNOW_RELAXED        owner_.load(), the first, with NAMES: the name may have been loaded before
 *
 * Three orders are more than the processor needs, since the asymmetric fence does their work; the claim holds without all three:
 *   LOOK_RELAXED        owner_.load(), the second: what was loaded early counts no more after that fence
 *   BACK_OFF_RELAXED    held.store(false) of one that is owner no more: it has left nothing since that fence
 *   END_RELAXED         owner_.store(&nobody_): it has reached memory with that fence
 */
#ifndef CALLS
#define CALLS 2
#endif
#define THREADS 2
#define NOBODY 0  /* owners are 1 + thread */

#define OWNER 0
#define TURN_TAKEN 1
#ifdef ONE_PLACE
#define HELD(thread) 2
#define PLACES 1
#else
#define HELD(thread) (2 + thread)
#define PLACES THREADS
#endif
#ifdef NAMES
#define NAME(thread) (2 + PLACES + thread)
#define LOCATIONS (2 + PLACES + THREADS)
#else
#define DATA (2 + PLACES)
#define LOCATIONS (3 + PLACES)
#endif
#define WAITING 5
#include "weak.inc"

#ifdef GIVE_RELAXED
#define GIVE RELAXED
#else
#define GIVE RELEASE
#endif
#ifdef UNMARK_RELAXED
#define UNMARK RELAXED
#else
#define UNMARK RELEASE
#endif
#ifdef NAME_RELAXED
#define MAKE_OWNER RELAXED
#else
#define MAKE_OWNER RELEASE
#endif
#ifdef BACK_OFF_RELAXED
#define BACK_OFF RELAXED
#else
#define BACK_OFF RELEASE
#endif
#ifdef END_RELAXED
#define END RELAXED
#else
#define END SEQ_CST
#endif

byte users = 0;  /* threads that believe they have the queue */
byte truth = 0;  /* what the last one left */

proctype machine(byte me) {
end:
  do
  :: drain(me, OWNER)
  :: drain(me, TURN_TAKEN)
  :: drain(me, HELD(me))
  :: fetch(me, OWNER)
#ifdef NAMES
  :: drain(me, NAME(me))
  :: fetch(me, NAME(1 - me))
#else
  :: drain(me, DATA)
  :: fetch(me, DATA)
#endif
  :: fetch(me, HELD(1 - me))
  od
}

inline know_owner() {            /* owner_.load(acquire), and the place's thread */
#ifdef KNOW_RELAXED
  load(me, OWNER, seen);
#else
  load_acquire(me, OWNER, seen);
#endif
#ifdef NAMES
  if
  :: seen != NOBODY && seen != me + 1 ->
     load(me, NAME(seen - 1), named);
     assert(named);
     named = 0
  :: else
  fi
#endif
}

inline asymmetric_fence() {          /* the caller's own come first and last */
  fence(me);
  fence(1 - me);
  fence(me)
}

inline lock() {
  in_turn = true;
  know_owner();
  if
  :: seen == me + 1 ->
#ifdef LOOK_FIRST
     load_acquire(me, OWNER, seen);
     store(me, HELD(me), true, RELAXED);
#else
     store(me, HELD(me), true, RELAXED);
#ifdef LOOK_RELAXED
     load(me, OWNER, seen);
#else
#ifndef NO_LOOK
     load_acquire(me, OWNER, seen);
#endif
#endif
#endif
     if
     :: seen == me + 1 -> in_turn = false
     :: else ->
#ifndef NO_BACK_OFF
        store(me, HELD(me), false, BACK_OFF)
#endif
     fi
  :: else
  fi;
  if                           /* lock_in_turn() */
  :: in_turn ->
     atomic {                  /* until !turn_taken_.exchange(true, acquire) */
       memory[TURN_TAKEN] == false;
       memory[TURN_TAKEN] = true;
#ifndef TAKE_RELAXED
       d_step { forget_all(me) }
#endif
     };
     load(me, OWNER, former);
     if
     :: former != NOBODY ->
        former--;
        store(me, OWNER, NOBODY, END);
#ifndef NO_ASYMMETRIC_FENCE
        asymmetric_fence();
#endif
#ifndef NO_WAIT
        do                     /* until !former->held.load(acquire) */
        :: memory[HELD(former)] == false ->
#ifdef AWAIT_RELAXED
           load(me, HELD(former), seen);
#else
           load_acquire(me, HELD(former), seen);
#endif
           if
           :: !seen -> break
           :: else
           fi
        od
#endif
     :: else
     fi;
     former = 0
  :: else
  fi;
  seen = 0
}

inline unlock() {
  if
  :: in_turn ->                /* unlock_in_turn() */
#ifndef NO_FENCES
     if                        /* in_a_row_ >= often */
     ::
#ifdef NAMES
        store(me, NAME(me), true, RELAXED);
#endif
        store(me, OWNER, me + 1, MAKE_OWNER)
     :: skip
     fi;
#endif
     store(me, TURN_TAKEN, false, GIVE)
  :: else -> store(me, HELD(me), false, UNMARK)
  fi;
  in_turn = false
}

proctype user(byte me) {
  byte seen, named, former, calls = 0;
  bool in_turn;
  do
  :: calls < CALLS ->
     lock();
     users++;
     assert(users == 1);
#ifndef NAMES
     load(me, DATA, seen);
     assert(seen == truth);
     truth = 1 - truth;
     store(me, DATA, truth, RELAXED);
     seen = 0;
#endif
     users--;
     unlock();
     calls++
  :: break
  od
}

init {
  byte thread;
  atomic {
    for (thread : 0 .. THREADS - 1) {
      run machine(thread);
      run user(thread)
    };
    thread = 0
  }
}
