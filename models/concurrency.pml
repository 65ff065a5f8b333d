/*
 * Reserved concurrency over all shards: at most MAX requests of a function hold a core or wait. One shared counter, entered by
 * compare-and-swap and left by a subtraction.
 *
 * Proved: never more than MAX are inside; nobody is refused while there is a place; the counter ends at 0.
 */
#define SHARDS 3
#define MAX 2

byte running;
/* Those who are inside in truth. */
byte inside;

proctype Shard() {
  byte seen, rounds = 2;
  bool mine;
end:
  do
  :: rounds > 0 ->
     rounds--;
#ifdef MUTANT_ADD_FIRST
     d_step { seen = running; running++; mine = (seen < MAX); assert(mine || inside == MAX); inside = inside + mine };
     if
     :: !mine -> running--
     :: else
     fi;
#else
     do
     :: d_step { seen = running; assert(seen < MAX || inside == MAX) };
        if
        :: seen >= MAX -> mine = false; break
        :: else
        fi;
#ifdef MUTANT_PLAIN_ENTER
        d_step { running = seen + 1; mine = true; inside++ };
#else
        d_step { mine = (running == seen); running = running + mine; inside = inside + mine };
#endif
        if
        :: mine -> break
        :: else
        fi
     od;
#endif
     assert(inside <= MAX);
     if
     :: mine -> d_step { running--; inside-- }
     :: else
     fi;
     seen = 0; mine = false
  od
}

init {
  atomic { run Shard(); run Shard(); run Shard() };
end:
  timeout -> assert(running == 0 && inside == 0)
}
