/*
 * How shards wake each other: what all models with waiting shards include. Each line or d_step is one access to a shared word.
 * The includer defines N and `anyIdle`, and declares in its shards: byte mask, rung, s.
 *
 *   flag[s]   raised (not 0) while somebody waits at shard s; written by s alone (and for a dead shard, by the reaper)
 *   bell[s]   the shards that are still to be woken for what became free, s among them; 0: nobody rang
 *   post[s]   the notification that ends the sleep of the event loop; sent by whoever found the bell at 0
 */
#define BIT(i) (1 << (i))

byte flag[N];
byte bell[N];
bool post[N];

/* Atomics.or, and Atomics.notify where it answered 0. */
inline ring(target, shards) {
  d_step { rung = bell[target]; bell[target] = rung | (shards) };
  if
  :: rung == 0 -> post[target] = true
  :: else
  fi;
  rung = 0
}

/* Reads all flags, the own one too, one after the other. */
inline readFlags() {
  s = 0; mask = 0;
  do
  :: s < N ->
     d_step { mask = mask | ((flag[s] != 0) << s); s++ }
  :: else -> break
  od;
  s = 0
}

/* Wakes one of the shards in `mask`, and hands it the rest. Whichever: the rotation of the shipped code is one of the ways. */
inline passOn() {
  if
  :: mask == 0
  :: mask != 0 && anyIdle ->
     select (s : 0 .. (N - 1));
     do
     :: (mask & BIT(s)) == 0 -> s = (s + 1) % N
     :: else -> break
     od;
     ring(s, mask)
  :: mask != 0 && !anyIdle
  fi;
  s = 0; mask = 0
}

/* Who gives anything looks who waits. COARSE: in one step, for models of what is built upon it; wait.pml has the single ones. */
inline give() {
#ifdef COARSE
  atomic { readFlags(); passOn() }
#else
  readFlags();
  passOn()
#endif
}

/* Takes the notification and what the bell says; the bell is silent before the look, so that who rings during it is heard after it. */
inline hear() {
  post[me] = false;
  d_step { mask = bell[me]; bell[me] = 0 }
}
