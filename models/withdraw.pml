/*
 * Withdrawal and return of a core, while it is granted and released. Each may come to any shard, at the same time.
 *
 *   idle        its bit          withdrawn   its bit of the wish: 1, it shall not be granted any more
 *   lease       FREE, HELD, OUT: taken out of the platform. In the same word as the sequence (lease.pml)
 *
 * Whoever makes the core idle then looks at the wish; whoever wishes then looks at the bit. Whoever takes the core out then looks at the
 * wish; whoever takes back the wish then looks whether the core is out. One of each two sees the other, and a swap decides who acts.
 *
 * Proved: the bit is never set for a core that somebody owns; in the end the core is idle if it is not wished away, and out if it is.
 */
#define FREE 0
#define HELD 1
#define OUT 2

bool idle = true, withdrawn;
byte lease = FREE;
byte requests = 2, withdrawals = 2, returns = 2;
/* What runs: granted, and its release is not sent yet. */
bool held;

/* Owned by nobody else: make it idle. */
inline put() {
  do
  :: assert(!idle && !held);
     idle = true;
#ifdef MUTANT_NO_LOOK_AFTER_BIT
     break;
#endif
     if
     :: !withdrawn -> break
     :: else
     fi;
     d_step { mine = idle; idle = false };
     if
     :: mine -> takeOut()
     :: else
     fi;
     if
     :: !mine -> break
     :: else
     fi
  od
}

/* Owned by nobody else: take it out; `mine` says whether it has to be put back. */
inline takeOut() {
  lease = OUT;
#ifdef MUTANT_NO_LOOK_AFTER_OUT
  mine = false;
#else
  if
  :: withdrawn -> mine = false
  :: else -> swapOut()
  fi
#endif
}

inline swapOut() {
#ifdef MUTANT_PLAIN_RETURN
  mine = (lease == OUT);
  if
  :: mine -> lease = FREE
  :: else
  fi
#else
  d_step {
    mine = (lease == OUT);
    if
    :: mine -> lease = FREE
    :: else
    fi
  }
#endif
}

proctype Shard() {
  bool mine;
end:
  do
  :: d_step { requests > 0 && idle -> requests--; mine = idle; idle = false };
     lease = HELD;
     d_step { assert(!held); held = true; mine = false }
  :: d_step { held -> held = false };
#ifdef MUTANT_NO_LOOK_AFTER_BIT
     lease = FREE;
     if
     :: withdrawn -> mine = false; lease = OUT
     :: else -> put()
     fi;
#else
     lease = FREE;
     put();
#endif
     mine = false
  :: d_step { withdrawals > 0 -> withdrawals-- };
     withdrawn = true;
     d_step { mine = idle; idle = false };
     if
     :: mine ->
        takeOut();
        if
        :: mine -> put()
        :: else
        fi
     :: else
     fi;
     mine = false
  :: d_step { returns > 0 -> returns-- };
     withdrawn = false;
     swapOut();
     if
     :: mine -> put()
     :: else
     fi;
     mine = false
  od
}

init {
  atomic { run Shard(); run Shard() };
end:
  timeout -> assert(!held && idle == !withdrawn && (lease == OUT) == withdrawn)
}
