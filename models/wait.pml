/*
 * Wait, release, steal. N shards share one word of idle cores; requests come to any shard, releases too; requests are
 * cancelled; a shard sleeps in its event loop until it is notified. A shard that has a free hand (to serve itself first
 * or others, to hand over a core to its own waiter, which core, whom to wake) takes every way.
 *
 * Proved: no core is granted twice; when nothing moves any more, nobody waits and every core is idle; everybody who waits is served.
 */
#ifndef N
#define N 3
#endif
#ifndef CORES
#define CORES 1
#endif
#ifndef REQUESTS
#define REQUESTS 3
#endif
#define ALL (BIT(CORES) - 1)
#define anyIdle (idle != 0)

#include "bell.pml"

byte idle = ALL;
byte waiting[N];
/* What runs, not a shared word: granted and not released yet. */
byte held;
byte cancels = 1;
/* Requests that have not come yet; each comes to any shard. */
byte left = REQUESTS;

#ifdef MUTANT_PLAIN_FLAG
/* A plain store sits in the processor's buffer while later loads pass it. */
bool buffered[N];
#define raise() buffered[me] = true
#define lower() d_step { buffered[me] = false; flag[me] = 0 }
active [N] proctype StoreBuffer() {
end:
  do
  :: d_step { buffered[_pid] -> flag[_pid] = 1; buffered[_pid] = false }
  od
}
#else
#define raise() flag[me] = 1
#define lower() flag[me] = 0
#endif

/* Compare-and-swap until it succeeds or no bit is left; `core` is the bit, 0: none. */
inline claim() {
  core = 0;
  do
  :: seen = idle;
     if
     :: seen == 0 -> break
     :: else
     fi;
     if
     :: (seen & 1) != 0 -> core = 1
     :: (seen & 2) != 0 -> core = 2
     fi;
#ifdef MUTANT_PLAIN_CLAIM
     idle = seen & ~core; break
#else
     d_step {
       if
       :: idle == seen -> idle = seen & ~core
       :: else -> core = 0
       fi
     };
     if
     :: core != 0 -> break
     :: else
     fi
#endif
  od;
  seen = 0
}

inline grant() {
  d_step { assert((held & core) == 0); held = held | core; core = 0 }
}

/* Grants cores to the waiters of this shard while there are both. */
inline serve() {
  do
  :: waiting[me] == 0 -> break
  :: else ->
     claim();
     if
     :: core == 0 -> break
     :: else -> grant(); leave()
     fi
  od
}

/* One waiter fewer; the last one lowers the flag. */
inline leave() {
  waiting[me]--;
  if
  :: waiting[me] == 0 -> lower()
  :: else
  fi
}

proctype Shard(byte me) {
  byte core, seen, mask, rung, s;
end:
  do
  :: d_step { left > 0 -> left-- };       /* a request comes */
     if
     :: waiting[me] == 0 -> claim()
     :: else
     fi;
     if
     :: core != 0 -> grant()
     :: else ->
        waiting[me]++;
#ifdef MUTANT_LOOK_BEFORE_FLAG
        serve();
        if
        :: waiting[me] != 0 -> raise()
        :: else
        fi
#else
        raise();
#ifndef MUTANT_NO_SECOND_LOOK
        serve()
#endif
#endif
     fi
  :: d_step { held != 0 ->                /* an invocation has ended */
       if
       :: (held & 1) != 0 -> core = 1
       :: (held & 2) != 0 -> core = 2
       fi;
       held = held & ~core
     };
     if
     :: waiting[me] != 0 -> grant(); leave()
     :: true ->
#ifdef MUTANT_FLAGS_BEFORE_BIT
        readFlags();
        d_step { assert((idle & core) == 0); idle = idle | core; core = 0 };
        passOn()
#else
        d_step { assert((idle & core) == 0); idle = idle | core; core = 0 };
        give()
#endif
     fi
  :: d_step { waiting[me] != 0 && cancels != 0 -> cancels-- };
     leave()
  :: post[me] ->                          /* woken */
#ifdef MUTANT_LOOK_BEFORE_CLEAR
     serve();
     hear();
#else
     hear();
#ifdef MUTANT_LOST_BATON
     if
     :: waiting[me] == 0 -> mask = 0
     :: else
     fi;
#endif
     serve();
#endif
     mask = mask & ~BIT(me);
#ifdef MUTANT_KEEP_BATON
     mask = 0;
#endif
     passOn()
  od
}

#ifdef MUTANT_PLAIN_FLAG
#define FIRST N
#else
#define FIRST 0
#endif

init {
  byte i;
  atomic {
    i = 0;
    do
    :: i < N -> run Shard(i); i++
    :: else -> break
    od
  };
end:
  timeout -> assert(idle == ALL && held == 0);
  assert(waiting[0] == 0 && waiting[1] == 0)
#if N > 2
  ; assert(waiting[2] == 0)
#endif
}

ltl served { [] ((waiting[0] != 0) -> <> (waiting[0] == 0)) }
