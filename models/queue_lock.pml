/* The lock of a queue in the C API: capi/common/queue_lock.hpp.
 *
 * Threads make data calls, each as often as it likes; whoever has the queue in turn may become its owner at the end of
 * that call, as if it had taken it often in a row. Each thread's stores go through a first-in-first-out store buffer, as
 * on x86-64 (elsewhere they are freer still); an atomic read-modify-write waits for the thread's own. A remote fence is
 * over once it has seen each thread's buffer empty.
 *
 *   THREADS             that use the queue
 *   NO_FENCES           a system without remote fences: nobody becomes the owner
 *
 * Claim: one thread at a time uses the queue, and whoever wants it gets it when the others stop. Each of these must
 * break it:
 *   NO_REMOTE_FENCE     who ends an ownership does not have the owner pass a fence
 *   NO_WAIT             who ends an ownership does not wait for the owner's mark to go
 *   NO_LOOK             an owner does not look at whether it still is one once its mark is there
 *   NO_BACK_OFF         one that is owner no more takes its turn and leaves its mark
 *   ONE_PLACE           all owners mark the same place: a late one takes another's mark back with its own
 */
#ifndef THREADS
#define THREADS 2
#endif
#define NOBODY THREADS

#ifdef ONE_PLACE
#define PLACE(thread) 0
#else
#define PLACE(thread) thread
#endif

byte owner = NOBODY;
bool held[THREADS];
bool turn_taken = false;
byte users = 0;  /* threads that believe they have the queue */

mtype = { HELD, OWNER, TURN_TAKEN };
chan stores[THREADS] = [3] of { mtype, byte };

inline arrive(thread) {
  stores[thread]?which(value);
  if
  :: which == HELD -> held[PLACE(thread)] = value
  :: which == OWNER -> owner = value
  :: which == TURN_TAKEN -> turn_taken = value
  fi;
  which = 0;
  value = 0
}

active proctype memory() {
  mtype which;
  byte value;
end:
  do
  :: atomic { arrive(0) }
  :: atomic { arrive(1) }
#if THREADS == 3
  :: atomic { arrive(2) }
#endif
  od
}

inline lock() {
  in_turn = true;
  if
  :: owner == me ->            /* owner_.load(acquire) */
     stores[me]!HELD(true);    /* place->held.store(true, relaxed) */
#ifdef NO_LOOK
     in_turn = false
#else
     if                        /* owner_.load(acquire) */
     :: owner == me -> in_turn = false
     :: else ->
#ifndef NO_BACK_OFF
        stores[me]!HELD(false) /* place->held.store(false, release) */
#endif
     fi
#endif
  :: else
  fi;
  if                           /* lock_in_turn() */
  :: in_turn ->
     atomic { empty(stores[me]) && !turn_taken -> turn_taken = true };  /* until !turn_taken_.exchange(true) */
     former = owner;
     if
     :: former != NOBODY ->
        stores[me]!OWNER(NOBODY);
        empty(stores[me]);     /* owner_.store(seq_cst) */
#ifndef NO_REMOTE_FENCE
        empty(stores[0]);      /* remote_fence() */
        empty(stores[1]);
#if THREADS == 3
        empty(stores[2]);
#endif
#endif
#ifndef NO_WAIT
        !held[PLACE(former)];  /* until !former->held.load(acquire) */
#endif
     :: else
     fi;
     former = 0
  :: else
  fi
}

inline unlock() {
  if
  :: in_turn ->                /* unlock_in_turn() */
#ifndef NO_FENCES
     if
     :: stores[me]!OWNER(me)   /* in_a_row_ >= often */
     :: skip
     fi;
#endif
     stores[me]!TURN_TAKEN(false)
  :: else -> stores[me]!HELD(false)
  fi;
  in_turn = false
}

active [THREADS] proctype user() {
  byte me = _pid - 1;          /* memory comes first */
  byte former;
  bool in_turn;
  do
  :: lock();
     users++;
     assert(users == 1);
     users--;
     unlock()
  :: break
  od
}
