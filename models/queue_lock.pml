/* The lock of a queue in the C API: capi/common/queue_lock.hpp.
 *
 * A worker makes data calls. Control threads visit: each does so as often as it likes, and makes data calls, or none,
 * meanwhile. Each thread's stores go through a first-in-first-out store buffer, as on x86-64 (elsewhere they are freer
 * still); an atomic read-modify-write waits for the thread's own. A remote fence is over once it has seen each other
 * thread's buffer empty.
 *
 *   VISITORS            control threads
 *   NO_FENCES           a system without remote fences: prepare() has left one visit counted for ever
 *
 * Claim: one thread at a time uses the queue, and whoever wants it gets it when the others stop. Each of these must
 * break it:
 *   NO_REMOTE_FENCE     a visit does not have the others pass a fence
 *   NO_WAIT             who takes the queue in turn does not wait for a holder that has not seen the visit
 *   NO_LOOK             a holder does not look at the number of visits once it has said that it holds the queue
 *   MARK_FIRST          a visitor, too, says that it holds the queue before it looks, and takes that back: the holder's
 *                       word with its own
 *   NO_BACK_OFF         a holder that has seen a visit takes its turn without saying that it holds the queue no more
 */
#ifndef VISITORS
#define VISITORS 1
#endif
#define THREADS (VISITORS + 1)
#define WORKER 0

#ifdef NO_FENCES
byte visits = 1;
#else
byte visits = 0;
#endif
bool held = false;
bool turn_taken = false;
byte users = 0;  /* threads that believe they have the queue */

mtype = { HELD, TURN_TAKEN };
chan stores[THREADS] = [2] of { mtype, bool };

inline arrive(thread) {
  stores[thread]?which(value);
  if
  :: which == HELD -> held = value
  :: which == TURN_TAKEN -> turn_taken = value
  fi;
  which = 0;
  value = 0
}

active proctype memory() {
  mtype which;
  bool value;
end:
  do
  :: atomic { arrive(WORKER) }
  :: atomic { arrive(1) }
#if VISITORS == 2
  :: atomic { arrive(2) }
#endif
  od
}

inline lock() {
  in_turn = true;
#ifndef MARK_FIRST
  if
  :: visits != 0            /* visits_.load(relaxed): a visitor always sees its own */
  :: else ->
#endif
     stores[me]!HELD(true); /* held_.store(true, relaxed) */
#ifdef NO_LOOK
     in_turn = false;
#else
     if                     /* visits_.load(acquire) */
     :: visits == 0 -> in_turn = false
     :: else ->
#ifndef NO_BACK_OFF
        stores[me]!HELD(false) /* held_.store(false, release) */
#endif
     fi;
#endif
#ifndef MARK_FIRST
  fi;
#endif
  if                        /* lock_in_turn() */
  :: in_turn ->
     atomic { empty(stores[me]) && !turn_taken -> turn_taken = true };  /* until !turn_taken_.exchange(true) */
#ifndef NO_WAIT
     !held                  /* until !held_.load(acquire) */
#endif
  :: else
  fi
}

inline unlock() {
  if
  :: in_turn -> stores[me]!TURN_TAKEN(false)  /* unlock_in_turn() */
  :: else -> stores[me]!HELD(false)           /* held_.store(false, release) */
  fi;
  in_turn = false
}

inline data_call() {
  lock();
  users++;
  assert(users == 1);
  users--;
  unlock()
}

active proctype worker() {
  byte me = WORKER;
  bool in_turn;
  do
  :: data_call()
  :: break
  od
}

active [VISITORS] proctype control() {
  byte me = _pid - 1;  /* memory and the worker come first */
  bool in_turn;
  do
  :: atomic { empty(stores[me]) -> visits++ };  /* Visit::Visit(): fetch_add(1, seq_cst) */
#if !defined(NO_REMOTE_FENCE) && !defined(NO_FENCES)
     empty(stores[WORKER]);                     /* remote_fence() */
#if VISITORS == 2
     empty(stores[3 - me]);
#endif
#endif
     do
     :: data_call()
     :: break
     od;
     atomic { empty(stores[me]) -> visits-- }   /* Visit::~Visit(): fetch_sub(1, release) */
  :: break
  od
}
