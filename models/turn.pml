/*
 * Taking turns. All shards ask for ever, and claim what they find: who waits could be overtaken for ever. So each shard counts, in private, how often it
 * has passed each other shard's raised flag; at OVERTAKE_MAX it wakes that shard and claims nothing until the flag has changed.
 * The first PAIRS shards ask for both cores of a word in one compare-and-swap; where only some of what they ask is idle, they keep the word: nobody
 * else claims there until they are served, and nobody stands back for them.
 *
 *   flag    0: nobody waits; 1: somebody waits; ASIDE: somebody waits for whom nobody is to stand back
 *
 * Releases are made by a thread of its own, as by a shard where nobody waits.
 *
 * Proved: nobody who waits for one core is overtaken more than (N - 1) * (OVERTAKE_MAX + 1) times; everybody who waits is served; a pair
 * is served beside those who ask for one for ever; no core is granted twice.
 */
#ifndef N
#define N 2
#endif
#ifndef CORES
#define CORES 1
#endif
#ifndef PAIRS
#define PAIRS 0
#endif
#define ALL ((1 << CORES) - 1)
#define OVERTAKE_MAX 1
#define ASIDE 3
#define anyIdle (idle != 0)
#define isPair (me < PAIRS)
#define COARSE
#include "bell.pml"

byte idle = ALL;
/* The shard that keeps the word, + 1; 0: nobody. */
byte kept;
bool waiting[N];
/* Of each shard: whose flags have changed since it looked. */
byte changed[N];
byte pairsLeft = PAIRS;
/* Not shared words: what runs; how often others were granted a core while the flag of each was raised. */
byte held;
byte overtaken[N];

/* Reads all other flags; `may` says whether this shard may claim, `owed` to whom it stands back. */
inline mayTake() {
  s = 0; may = true;
  do
  :: s < N ->
     d_step {
       turn = (s != me && flag[s] != 0 && flag[s] != ASIDE);
       if
       :: !turn || (changed[me] & BIT(s)) != 0 -> passed[s] = 0
       :: else
       fi;
       if
       :: turn -> raised = raised | BIT(s)
       :: else -> raised = raised & ~BIT(s)
       fi;
       if
       :: passed[s] >= OVERTAKE_MAX -> may = false; owed = s
       :: else
       fi;
       changed[me] = changed[me] & ~BIT(s);
       turn = false; s++
     }
  :: else -> break
  od;
  s = 0
}

/* A flag counts up at each change, so that none is overlooked. Here everybody is told that it has changed, which is the same without a counter that wraps. */
inline setFlag(value) {
  d_step {
    flag[me] = value; overtaken[me] = 0;
    do
    :: s < N -> changed[s] = changed[s] | BIT(me); s++
    :: else -> break
    od;
    s = 0
  }
}

/* The core is granted; in the same step as the swap only so that the count is exact. */
inline count() {
  s = 0;
  do
  :: s < N ->
     if
     :: s != me && flag[s] != 0 && flag[s] != ASIDE ->
#ifdef BOUND
        overtaken[s]++;
        assert(overtaken[s] <= (N - 1) * (OVERTAKE_MAX + 1))
#else
        skip
#endif
     :: else
     fi;
     if
     :: (raised & BIT(s)) != 0 -> passed[s]++
     :: else
     fi;
     s++
  :: else -> break
  od;
  s = 0
}

/*
 * One compare-and-swap that succeeds, or the look that finds too little; wait.pml has the single steps. `cores` are the bits, 0: it cannot be.
 * A pair that loses a swap keeps the word before it tries again, or it might lose for ever.
 */
inline claim() {
  do
#if PAIRS > 0 && !defined(MUTANT_NO_KEEP)
  :: d_step { isPair && kept == 0 && idle == ALL -> kept = me + 1 }
#endif
  :: atomic {
       if
       :: kept != 0 && kept != me + 1
       :: (kept == 0 || kept == me + 1) && !isPair && (idle & 1) != 0 -> cores = 1
       :: (kept == 0 || kept == me + 1) && !isPair && (idle & 2) != 0 -> cores = 2
       :: (kept == 0 || kept == me + 1) && !isPair && idle == 0
       :: (kept == 0 || kept == me + 1) && isPair && idle == ALL -> cores = ALL
#ifdef MUTANT_PIECEMEAL
       :: isPair && (idle & 1) != 0 -> cores = 1
       :: isPair && (idle & 2) != 0 -> cores = 2
#endif
       :: (kept == 0 || kept == me + 1) && isPair && idle != ALL
       fi;
       d_step {
         idle = idle & ~cores;
         assert((held & cores) == 0);
#ifdef MUTANT_PIECEMEAL
         part = part | cores; cores = 0;
         if
         :: part == ALL || !isPair -> cores = part; part = 0
         :: else
         fi;
#endif
         if
         :: cores != 0 -> count()
         :: else
         fi
       }
     };
     break
  od
}

/* What has changed may let others go on: they look again. */
inline tell() {
  baton = mask;
  give();
  mask = baton; baton = 0
}

/* Nobody waits here any more. */
inline leave() {
  waiting[me] = false;
  setFlag(0);
#if PAIRS > 0 && !defined(MUTANT_KEPT_FOR_EVER)
  if
  :: kept == me + 1 -> kept = 0
  :: else
  fi;
#endif
#ifndef MUTANT_SILENT_TURN
  tell()
#endif
}

inline serve() {
#ifdef MUTANT_NO_TURNS
  may = true;
#else
  mayTake();
#endif
  if
  :: may ->
     claim();
     if
     :: cores != 0 ->
        d_step { held = held | cores; cores = 0 };
        leave()
#if PAIRS > 0
     :: cores == 0 && isPair ->
#ifndef MUTANT_NO_KEEP
        d_step {
          if
          :: kept == 0 -> kept = me + 1
          :: else
          fi
        };
#endif
        if
        :: flag[me] != ASIDE -> setFlag(ASIDE); tell()
        :: else
        fi
#endif
     :: cores == 0 && !isPair
     fi
  :: !may -> ring(owed, BIT(owed) | BIT(me)); owed = 0
  fi;
  may = false
}

proctype Shard(byte me) {
  byte cores, seen, mask, baton, rung, s, owed, part;
  bool may, turn;
  byte raised, passed[N];
end:
  do
  :: (!waiting[me] && (!isPair || pairsLeft != 0)) || post[me] ->
     if
     :: post[me] ->
        hear();
        if
        :: waiting[me] -> serve()
        :: else
        fi;
        mask = mask & ~BIT(me);
        passOn()
     :: !post[me]
     fi;
     if
     :: d_step { !waiting[me] && (!isPair || pairsLeft != 0) -> waiting[me] = true; pairsLeft = pairsLeft - isPair };
        setFlag(1);
        serve()
     :: true
     fi
  od
}

/* Ends what runs, one or the other core. */
active proctype Release() {
  byte mask, rung, s;
end:
  do
  :: atomic {
       held != 0 ->
       if
       :: (held & 1) != 0 -> s = 1
       :: (held & 2) != 0 -> s = 2
       fi;
       d_step { held = held & ~s; assert((idle & s) == 0); idle = idle | s; s = 0 }
     };
     give()
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
  }
}

ltl first { [] (waiting[0] -> <> !waiting[0]) }
ltl second { [] (waiting[1] -> <> !waiting[1]) }
