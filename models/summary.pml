/*
 * A summary that lags. Two words of one core each, above each a node, above both the top; a shard that finds 0 on top looks no further.
 * Nodes are not changed in one step with what is below them: whoever has changed a word or a node brings what is above to the same, until a
 * look finds it so; and whoever raised a node on the way has given, and looks who waits.
 *
 * Proved: when nothing moves any more, nobody waits and every node is what is below it; no core is granted twice; everybody who waits is served.
 */
#ifndef N
#define N 2
#endif
#ifndef REQUESTS
#define REQUESTS 4
#endif
#define anyIdle (top != 0)
#include "bell.pml"

/* The truth. */
bool idle[2] = true;
bool node[2] = true;
bool top = true;
byte waiting[N];
bool held[2];
byte left = REQUESTS, cancels = 1;

inline settle(i) {
  changed = false;
  do
  :: now = idle[i];
     if
     :: now == node[i] -> break
     :: else
     fi;
     node[i] = now;
     changed = true; raised = raised || now;
#ifdef MUTANT_NO_SECOND_LOOK
     break
#endif
  od;
  do
  :: !changed -> break
  :: changed ->
     now = node[0];
     now = now || node[1];
     if
     :: now == top -> break
     :: else
     fi;
     top = now;
     raised = raised || now;
#ifdef MUTANT_NO_SECOND_LOOK
     break
#endif
  od;
  changed = false; now = false
}

/* From the top; `core` is 2 if there is none. A node that promised too much costs one failed swap. */
inline claim() {
  core = 2;
  if
  :: top ->
     i = 0;
     do
     :: i == 2 -> break
     :: i < 2 ->
        if
        :: node[i] ->
           d_step { now = idle[i]; idle[i] = false };
           if
           :: now -> core = i; break
           :: else
           fi
        :: else
        fi;
        i++
     od;
     i = 0; now = false
  :: else
  fi
}

/* After a claim: the summary first, then whoever waits, if it was raised. */
inline granted() {
  d_step { assert(!held[core]); held[core] = true };
  raised = false;
  settle(core);
  core = 0;
  if
  :: raised ->
     baton = mask;
#ifndef MUTANT_SILENT_RAISE
     give();
#endif
     mask = baton; baton = 0; raised = false
  :: else
  fi
}

inline leave() {
  waiting[me]--;
  if
  :: waiting[me] == 0 -> flag[me] = 0
  :: else
  fi
}

inline serve() {
  do
  :: waiting[me] == 0 -> break
  :: else ->
     claim();
     if
     :: core == 2 -> core = 0; break
     :: else -> granted(); leave()
     fi
  od
}

proctype Shard(byte me) {
  byte core, i, mask, baton, rung, s;
  bool changed, raised, now;
end:
  do
  :: d_step { left > 0 -> left-- };
     waiting[me]++;
     flag[me] = 1;
     serve()
  :: d_step {
       if
       :: held[0] -> core = 0
       :: held[1] -> core = 1
       fi;
       held[core] = false
     };
     d_step { assert(!idle[core]); idle[core] = true };
#ifdef MUTANT_SUMMARY_AFTER_FLAGS
     give();
     settle(core);
#else
     settle(core);
     give();
#endif
     core = 0; raised = false
  :: d_step { waiting[me] != 0 && cancels != 0 -> cancels-- };
     leave()
  :: post[me] ->
     hear();
     serve();
     mask = mask & ~BIT(me);
     passOn()
  od
}

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
  timeout ->
  d_step {
    i = 0;
    do
    :: i < N -> assert(waiting[i] == 0); i++
    :: else -> break
    od;
    assert(idle[0] && idle[1] && node[0] && node[1] && top)
  }
}

ltl served { [] ((waiting[0] != 0) -> <> (waiting[0] == 0)) }
