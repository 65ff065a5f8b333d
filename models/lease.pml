/*
 * Leases are named. One core, two shards, and the agent that is the last judge. A release is a frame (core, sequence) that reaches any
 * shard, late, twice, or at two shards at once; a grant may never arrive, is then probed and fenced, and may arrive after all.
 *
 *   lease   sequence * 2 + held, in one word, so that one compare-and-swap ends exactly the lease that was named
 *
 * Whoever clears the bit owns the core until the lease word says that it is held; whoever swaps "held" for "ended" owns it until the bit is set.
 *
 * Proved: no two invocations run on the core at one time; when nothing moves any more, the core is idle: it was not lost.
 */
#define SHARDS 2
#ifndef GRANTS
#define GRANTS 3
#endif

bool idle = true;
byte lease;
byte left = GRANTS;
byte copies = 2;

/* Frames on their way, a bit for each sequence. */
byte granted, fenced, released;
/* The sequence that runs at the agent; 0: none. */
byte running;
#define BIT(i) (1 << (i))

proctype Shard() {
  byte sequence, seen;
  bool mine;
end:
  do
  :: d_step { left > 0 && idle -> left-- };      /* a request comes */
#ifdef MUTANT_PLAIN_CLAIM
     mine = idle;
     idle = false;
#else
     d_step { mine = idle; idle = false };
#endif
     if
     :: mine ->
        sequence = lease / 2 + 1;
#ifdef MUTANT_GRANT_FIRST
        granted = granted | BIT(sequence);
        lease = sequence * 2 + 1
#else
        lease = sequence * 2 + 1;
        granted = granted | BIT(sequence)
#endif
     :: else
     fi;
     sequence = 0; mine = false
  :: d_step { released != 0 ->                   /* a release comes, perhaps not for the last time */
       sequence = 1;
       do
       :: (released & BIT(sequence)) != 0 -> break
       :: else -> sequence++
       od;
       if
       :: copies > 0 -> copies--
       :: true -> released = released & ~BIT(sequence)
       fi
     };
#if defined(MUTANT_BIT_FIRST)
     seen = lease;
     if
     :: seen == sequence * 2 + 1 ->
        idle = true;
        d_step { mine = (lease == seen); lease = lease - mine }
     :: else
     fi;
#elif defined(MUTANT_PLAIN_END)
     seen = lease;
     if
     :: seen == sequence * 2 + 1 -> lease = sequence * 2; idle = true
     :: else
     fi;
#elif defined(MUTANT_NO_SEQUENCE)
     d_step { seen = lease & 1; lease = lease & ~1 };
     if
     :: seen == 1 -> idle = true
     :: else
     fi;
#else
     d_step { mine = (lease == sequence * 2 + 1); lease = lease - mine };
     if
     :: mine -> assert(!idle); idle = true
     :: else
     fi;
#endif
     sequence = 0; seen = 0; mine = false
  od
}

/* Starts what it is granted, ends it, answers probes. It refuses what it has fenced. */
proctype Agent() {
  byte sequence;
end:
  do
  :: d_step { granted != 0 ->                    /* a gateway comes with a lease, one or another */
       sequence = 1;
       do
       :: (granted & BIT(sequence)) != 0 -> break
       :: (granted >> (sequence + 1)) != 0 -> sequence++
       od;
       granted = granted & ~BIT(sequence);
       if
#ifdef MUTANT_NO_FENCE
       :: true ->
#else
       :: (fenced & BIT(sequence)) == 0 ->
#endif
          assert(running == 0);
          running = sequence
       :: else
       fi;
       sequence = 0
     }
  :: d_step { granted != 0 ->                    /* a probe for a lease that nobody has started */
       sequence = 1;
       do
       :: (granted & BIT(sequence)) != 0 -> break
       :: else -> sequence++
       od;
       if
       :: (fenced & BIT(sequence)) == 0 ->
          fenced = fenced | BIT(sequence);
          released = released | BIT(sequence)
       :: else
       fi;
       sequence = 0
     }
  :: d_step { running != 0 ->                    /* the invocation ends */
       released = released | BIT(running);
       running = 0
     }
  od
}

init {
  atomic { run Shard(); run Shard(); run Agent() };
end:
  timeout -> assert(idle && (lease & 1) == 0 && running == 0)
}
