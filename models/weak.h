/* Memory that orders as little as ARMv8 and C++ allow, for the models that include this.
 *
 * Stores. Those of a thread wait in the order of the program and reach memory in any order, except that two to one
 * location keep theirs, and that one with release goes when no earlier one of its thread waits any more.
 *
 * Loads. One may be made long before its place in the program: fetch() does so, and the load then takes that value or
 * the present one; what its own thread has stored last comes before both. A load with acquire may be early as well, and waits for no store (LDAPR); but what follows it in the
 * program is made after it. A seq_cst load waits for its thread's seq_cst stores. No load returns what is older than
 * what its thread has loaded from there before.
 *
 * A fence, and what a remote one does to the thread that it reaches: none of the thread's stores waits, and nothing that
 * was loaded early counts. A read-modify-write is the including model's to write: it acts on memory itself.
 *
 * The including model defines THREADS, LOCATIONS and WAITING, the stores of a thread that may wait. It runs drain() for
 * what each thread stores and fetch() for what it loads.
 */
#define RELAXED 0
#define RELEASE 1
#define SEQ_CST 2

byte memory[LOCATIONS];
chan waiting[THREADS] = [WAITING] of { byte, byte, byte }; /* location, value, order */
byte seq_cst_waiting[THREADS];

typedef Values {
  byte at[LOCATIONS];
}
Values own[THREADS];   /* stores of the thread that wait, ... */
Values last[THREADS];  /* ... and what the last of them stores */
Values rank[THREADS];  /* in which order early loads were made; 0: none */
Values early[THREADS];

hidden byte i_, l_, v_, o_; /* used within a d_step only: nobody restores them */

inline store(thread, location, what, order) {
  atomic {
    waiting[thread]!location, what, order;
    d_step {
      own[thread].at[location]++;
      last[thread].at[location] = what;
      seq_cst_waiting[thread] = seq_cst_waiting[thread] + (order == SEQ_CST -> 1 : 0);
      forget_one(thread, location)
    }
  }
}

inline drain(thread, location) {
  d_step {
    own[thread].at[location] > 0;
    waiting[thread]?? <eval(location), v_, o_>;
    waiting[thread]? <l_, _, _>;
    if
    :: o_ == RELAXED || l_ == location ->
       waiting[thread]??eval(location), v_, o_;
       memory[location] = v_;
       own[thread].at[location]--;
       last[thread].at[location] = (own[thread].at[location] == 0 -> 0 : last[thread].at[location]);
       seq_cst_waiting[thread] = seq_cst_waiting[thread] - (o_ == SEQ_CST -> 1 : 0)
    :: else
    fi
  }
}

inline fetch(thread, location) {
  d_step {
    rank[thread].at[location] == 0 && own[thread].at[location] == 0;
    l_ = 1;
    for (i_ : 0 .. LOCATIONS - 1) {
      if
      :: rank[thread].at[i_] >= l_ -> l_ = rank[thread].at[i_] + 1
      :: else
      fi
    };
    rank[thread].at[location] = l_;
    early[thread].at[location] = memory[location]
  }
}

/* Early loads of a rank up to this one do not count any more. */
inline forget(thread, up_to) {
  for (i_ : 0 .. LOCATIONS - 1) {
    if
    :: rank[thread].at[i_] > up_to -> rank[thread].at[i_] = rank[thread].at[i_] - up_to
    :: else -> rank[thread].at[i_] = 0; early[thread].at[i_] = 0
    fi
  };
  i_ = 0
}

inline forget_all(thread) { forget(thread, LOCATIONS) }

/* One early load, if there is one, leaves; the order of the others stays. */
inline forget_one(thread, location) {
  l_ = rank[thread].at[location];
  for (i_ : 0 .. LOCATIONS - 1) {
    if
    :: l_ != 0 && rank[thread].at[i_] > l_ -> rank[thread].at[i_]--
    :: else
    fi
  };
  rank[thread].at[location] = 0;
  early[thread].at[location] = 0
}

inline load(thread, location, into) {
  atomic {
    if
    :: own[thread].at[location] != 0 -> into = last[thread].at[location]
    :: own[thread].at[location] == 0 && rank[thread].at[location] != 0 -> into = early[thread].at[location]
    :: own[thread].at[location] == 0 -> into = memory[location]
    fi;
    d_step { forget_one(thread, location) }
  }
}

inline load_acquire(thread, location, into) {
  atomic {
    if
    :: own[thread].at[location] != 0 -> into = last[thread].at[location]
    :: own[thread].at[location] == 0 && rank[thread].at[location] != 0 ->
       into = early[thread].at[location];
       d_step { o_ = rank[thread].at[location]; forget(thread, o_) }
    :: own[thread].at[location] == 0 -> into = memory[location]; d_step { forget_all(thread) }
    fi
  }
}

inline load_seq_cst(thread, location, into) {
  atomic {
    seq_cst_waiting[thread] == 0 && own[thread].at[location] == 0;
    into = memory[location];
    d_step { forget_all(thread) }
  }
}

inline fence(thread) {
  atomic {
    empty(waiting[thread]);
    d_step { forget_all(thread) }
  }
}
