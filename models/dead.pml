/*
 * A shard dies, between any two of its accesses: with a core claimed and not granted, a lease ended and its bit not set, a flag raised, a bell that nobody will
 * hear, or before it woke whom it owed it. The reaper (the main thread) lowers its flag, stops the others at the top of their loops, puts back
 * what nobody owns, and wakes everybody. Its waiters are gone; their gateways ask again elsewhere. A release that it had read and not acted
 * on comes again, as the agent's connection breaks too; a grant that it had not sent is probed.
 *
 * Proved: when nothing moves any more, nobody waits at a living shard and the core is idle; it is never granted twice.
 */
#define N 3
#ifndef REQUESTS
#define REQUESTS 2
#endif
#define DEAD 0
#define anyIdle (idle)
#include "bell.pml"

bool idle = true;
/* The lease word: is it held? */
bool lease;
bool waiting[N];
byte left = REQUESTS;
/* Not shared words: what runs, and that it has ended and somebody is to be told. */
bool runs, ended;
bool dies, isDead, pause, paused[N];

inline serve() {
  if
  :: waiting[me] ->
     d_step { mine = idle; idle = false };
     if
     :: mine ->
        lease = true;
        d_step { assert(!runs && !ended); runs = true; mine = false; waiting[me] = false };
        flag[me] = 0
     :: else
     fi
  :: else
  fi
}

inline work() {
end:
  do
  :: pause ->
     paused[me] = true;
     !pause;
     paused[me] = false
  :: d_step { left > 0 && !waiting[me] && !pause -> left--; waiting[me] = true };
     flag[me] = 1;
     serve()
  :: d_step { ended && lease && !pause -> lease = false; ended = false };
     d_step { assert(!idle); idle = true };
     give()
  :: post[me] && !pause ->
     hear();
     serve();
     mask = mask & ~BIT(me);
     passOn()
  od
}

proctype Shard(byte me) {
  byte mask, rung, s;
  bool mine;
  work()
}

proctype Dying(byte me) {
  byte mask, rung, s;
  bool mine;
  { work() } unless { dies };
  d_step { waiting[me] = false; isDead = true }
}

proctype Agent() {
end:
  do
  :: d_step { runs -> runs = false; ended = true }
  od
}

proctype Reaper() {
  byte s, rung;
  pause = true;                              /* once for nothing: another worker has gone, say */
  pause = false;
  dies = true;
  isDead;
#ifndef MUTANT_FLAG_STAYS
  flag[DEAD] = 0;
#endif
#ifndef MUTANT_NO_PAUSE
  pause = true;
  paused[1] && paused[2];
#endif
#ifndef MUTANT_NO_SWEEP
  d_step {
    if
    :: !idle && !lease -> idle = true        /* claimed, or released, and owned by nobody */
    :: lease && !runs && !ended -> ended = true   /* the probe finds that nobody knows the lease */
    :: else
    fi
  };
#endif
  pause = false;
#ifndef MUTANT_SILENT_REAPER
  s = 1;
  do
  :: s < N ->
#ifdef MUTANT_USUAL_RING
     ring(s, BIT(N) - 2);
#else
     /* Notified whatever the bell said: who rang it last may have died before he did. */
     d_step { bell[s] = bell[s] | (BIT(N) - 2) };
     post[s] = true;
#endif
     s++
  :: else -> break
  od
#endif
}

init {
  atomic { run Dying(DEAD); run Shard(1); run Shard(2); run Agent(); run Reaper() };
end:
  timeout -> assert(!waiting[0] && !waiting[1] && !waiting[2]);
  assert(idle && !lease && !runs && !ended)
}
