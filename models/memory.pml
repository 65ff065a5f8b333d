/*
 * Memory admission. Requests of one worker want 1 or 2 of its MB beside a core. Memory is reserved before a core is claimed, and given
 * back where there was none. Who waits for memory waits beside an idle core, so a woken shard that cannot use the core passes on.
 *
 * Requests are cancelled, and invocations may run for ever.
 *
 * Proved: no memory is reserved twice; when nothing moves any more, nobody waits beside an idle core and enough memory, and no memory is
 * lost; everybody who waits is served, if invocations end.
 */
#ifndef N
#define N 2
#endif
#ifndef REQUESTS
#define REQUESTS 4
#endif
#ifndef ENDLESS
#define ENDLESS 1
#endif
#define CORES 2
#define ALL (BIT(CORES) - 1)
#define TOTAL_MB 3
#define anyIdle (idle != 0)
#include "bell.pml"

byte idle = ALL;
short memory = TOTAL_MB;
byte left = REQUESTS, cancels = 1, endless = ENDLESS;
/* What the one request of each shard wants; 0: none waits. */
byte want[N];
/* Of each core: the memory of its lease; 0: none. */
byte held[CORES];
bool isEndless[CORES];

/* Compare-and-swap until it succeeds or there is too little. A failure changes nothing that another shard could see. */
inline reserve() {
  mine = false;
  do
  :: seen = memory;
     if
     :: seen < want[me] -> break
     :: else
     fi;
#ifdef MUTANT_PLAIN_RESERVE
     memory = seen - want[me]; mine = true; break
#else
     d_step {
       mine = (memory == seen);
       memory = memory - mine * want[me];
       assert(memory >= 0)
     };
     if
     :: mine -> break
     :: else
     fi
#endif
  od;
  seen = 0
}

/* Clears one bit that is set; `core` is its index, CORES: none. */
inline claim() {
  core = CORES;
  do
  :: seen = idle;
     if
     :: seen == 0 -> break
     :: (seen & 1) != 0 -> core = 0
     :: (seen & 2) != 0 -> core = 1
     fi;
     d_step {
       if
       :: idle == seen -> idle = seen & ~BIT(core)
       :: else -> core = CORES
       fi
     };
     if
     :: core < CORES -> break
     :: else
     fi
  od;
  seen = 0
}

/* Memory, then a core, for the request of this shard. */
inline serve() {
  if
  :: want[me] != 0 ->
     reserve();
     if
     :: mine ->
        mine = false;
        claim();
        if
        :: core < CORES ->
           d_step {
             assert(held[core] == 0);
             held[core] = want[me];
             if
             :: endless > 0 -> endless--; isEndless[core] = true
             :: true
             fi
           };
           d_step { want[me] = 0; core = 0 };
           flag[me] = 0
        :: else ->
           d_step { memory = memory + want[me]; core = 0 };
           keep = mask;
#ifndef MUTANT_SILENT_GIVE_BACK
           give();
#endif
           mask = keep; keep = 0
        fi
     :: else
     fi
  :: else
  fi
}

proctype Shard(byte me) {
  byte core, seen, mask, keep, rung, s, size;
  bool mine;
end:
  do
  :: d_step { left > 0 && want[me] == 0 -> left-- };
     if
     :: want[me] = 1
     :: want[me] = 2
     fi;
     flag[me] = 1;
     serve()
  :: d_step {
       if
       :: held[0] != 0 && !isEndless[0] -> core = 0
       :: held[1] != 0 && !isEndless[1] -> core = 1
       fi;
       size = held[core]; held[core] = 0
     };
#ifdef MUTANT_FLAGS_BEFORE_MEMORY
     d_step { assert((idle & BIT(core)) == 0); idle = idle | BIT(core); core = 0 };
     readFlags();
     d_step { memory = memory + size; size = 0 };
     passOn()
#else
     d_step { memory = memory + size; size = 0 };
     d_step { assert((idle & BIT(core)) == 0); idle = idle | BIT(core); core = 0 };
     give()
#endif
  :: d_step { want[me] != 0 && cancels > 0 -> cancels--; want[me] = 0 };
     flag[me] = 0
  :: post[me] ->
     hear();
     serve();
     mask = mask & ~BIT(me);
#ifdef MUTANT_KEEP_BATON
     if
     :: want[me] != 0 -> mask = 0
     :: else
     fi;
#endif
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
    :: i < N -> assert(want[i] == 0 || idle == 0 || memory < want[i]); i++
    :: else -> break
    od;
    assert(memory + held[0] + held[1] == TOTAL_MB)
  }
}

ltl served { [] ((want[0] != 0) -> <> (want[0] == 0)) }
