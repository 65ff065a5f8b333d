/*
 * Counts, for each sandbox that is watched, the threads that can run, and notes when the count came to nothing and when it
 * left it. The platform reads the table of these places through shared memory.
 *
 * A ring buffer of transitions was rejected: a function that blocks a hundred thousand times a second fills it, and what
 * is lost then is lost for good. A place is always right, whoever looks at it and however seldom. All that is sent is that
 * something has happened, by places of which that was asked (`rings_for`), once for each time that it was.
 *
 * - A thread is found by its cgroup (version 2), or by its process where a sandbox has no cgroup. Whatever it waits for
 *   when it leaves its CPU unasked counts as sleep: a lock, a socket, a disk, the freezer.
 * - `threads` has what is known of each. Switches and wake-ups of one thread come one after the other (the kernel holds its
 *   locks), so only the counts are atomic. Where a thread begins to exit no lock is held, and it may sleep and wake after
 *   that: it has ended when it leaves its CPU for the last time.
 * - Threads that could run before they were watched make no event. `seed` is told of them, and `unseed` of those that have
 *   ended meanwhile.
 * - Polling: calls that ask for input and come back with nothing, one soon after the other, by the only thread that can
 *   run. Threads that were thawed and had no CPU since do not count there: that wakes all threads of a sandbox, and those that
 *   have nothing to do wait behind the poller, for its slice of some milliseconds, to sleep again. The time between two calls
 *   is time polled; a run of it ends with input, with something sent, and with time in which nothing was asked. They are seen
 *   where system calls end, which puts each call of each process of the machine on its slow way: `on_answer` is attached only
 *   while somebody may be stopped. Programs at the ends of the few functions of the kernel in question would spare the others
 *   that; not every kernel lets them be loaded.
 * - Whoever may be stopped for polling is stopped here, since the platform comes too late on a machine that is busy: by a
 *   signal, which the platform takes back once it has decided what to do about it. The freezer cannot be reached from here.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* Of the kernel's structures only what is read; the loader looks up where it is. */
struct kernfs_node {
  __u64 id;
} __attribute__((preserve_access_index));
struct cgroup {
  struct kernfs_node *kn;
} __attribute__((preserve_access_index));
struct css_set {
  struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));
typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live;
} __attribute__((preserve_access_index));
struct task_struct {
  int pid;
  int tgid;
  unsigned int frozen : 1;
  struct signal_struct *signal;
  struct css_set *cgroups;
} __attribute__((preserve_access_index));
struct sock_cgroup_data {
  struct cgroup *cgroup;
} __attribute__((preserve_access_index));
struct sock {
  struct sock_cgroup_data sk_cgrp_data;
} __attribute__((preserve_access_index));
struct pt_regs___x86 {
  unsigned long orig_ax;
} __attribute__((preserve_access_index));
struct pt_regs___arm64 {
  int syscallno;
} __attribute__((preserve_access_index));

#define STATE_DEAD 0x80
#define ONE_CHANGE (1ULL << 32)
#define TRY_AGAIN 11
#define STOP 19
/* What is done between two calls and takes longer is work. */
#define POLL_GAP_NS 50000
/* Its threads sleep or wake, or it is stopped; something comes for it, or it sends something. */
#define RINGS_FOR_CHANGES 1
#define RINGS_FOR_TRAFFIC 2

struct watch {
  __u32 place;
  /* Counts up, so that what is known of a thread from an earlier watch counts for nothing. */
  __u32 number;
};

/* Sizes are set when it is loaded. */
struct place {
  /* Threads that can run in the lower half, changes of that in the upper one. */
  __u64 word;
  __u64 slept_ns;
  __u64 woke_ns;
  /* Of the watch that it is for, 0 for none: what belongs to an earlier one changes nothing. */
  __u32 number;
  /* Times that one of its sockets had something to read, and that it sent something. */
  __u32 inputs;
  __u32 sends;
  /* Both together, when it asked in vain for the last time. */
  __u32 seen;
  __u64 polled_ns;
  /* Of that, without a break up to now. */
  __u64 run_ns;
  /* How often its process was stopped; after how long a run that is done, 0: never. */
  __u32 stops;
  __u32 stop_after_ns;
  /* Whether the next two are noted; the moments of what was sent last on a socket of its own, and came last for one. */
  __u32 notes_traffic;
  /* Of the threads that can run, those that were thawed and had no CPU since. */
  __u32 thawed;
  /* Of what the platform wants to be told, bits: nothing once it has been. */
  __u32 rings_for;
  __u32 unused;
  __u64 sent_ns;
  __u64 received_ns;
  /* No two places in one line of a cache. */
  __u64 rest[4];
};

struct thread {
  struct watch watch;
  __u32 runnable;
  /* The freezer has woken it, and it had no CPU since. */
  __u32 thawed;
  /* Its last call that came back with nothing. */
  __u64 asked_ns;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, __u64);
  __type(value, struct watch);
} cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct watch);
} processes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct thread);
} threads SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct place);
} places SEC(".maps");

/* What places have rung for. Where it is full the platform has been told already that there is something in it. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 1 << 16);
} bell SEC(".maps");

static __always_inline struct watch *watch_of(struct task_struct *task) {
  __u64 id = task->cgroups->dfl_cgrp->kn->id;
  struct watch *watch = bpf_map_lookup_elem(&cgroups, &id);
  if (watch) return watch;
  __u32 process = task->tgid;
  return bpf_map_lookup_elem(&processes, &process);
}

/* The mark is the freezer's, and goes when the task runs. */
static __always_inline __u32 is_frozen(struct task_struct *task) {
  return BPF_CORE_READ_BITFIELD(task, frozen);
}

/* After what it is about has been written. The platform asks for it before it looks: one of both sees the other. */
static __always_inline void ring(struct place *place, __u32 about) {
  if (!(place->rings_for & about)) return;
  place->rings_for = 0;
  bpf_ringbuf_output(&bell, &about, sizeof(about), 0);
}

static __always_inline void add(struct watch *watch, __u64 change, __u32 thawed) {
  __u32 index = watch->place;
  struct place *place = bpf_map_lookup_elem(&places, &index);
  if (!place || place->number != watch->number) return;
  __u64 now = bpf_ktime_get_ns();
  /* Who is in the lesser count is in the greater one. */
  if (thawed && change == ONE_CHANGE - 1) __sync_fetch_and_add(&place->thawed, -1);
  __u64 before = __sync_fetch_and_add(&place->word, change);
  if (thawed && change == ONE_CHANGE + 1) __sync_fetch_and_add(&place->thawed, 1);
  __u32 count = (__u32)before;
  if (change == ONE_CHANGE + 1) {
    if (count != 0) return;
    if (now > place->woke_ns) place->woke_ns = now;
  } else {
    if (count != 1) return;
    if (now > place->slept_ns) place->slept_ns = now;
  }
  ring(place, RINGS_FOR_CHANGES);
}

static __always_inline void runs(__u32 id, struct watch *watch, __u32 thawed) {
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (known && known->watch.number == watch->number) {
    if (known->runnable) return;
    known->runnable = 1;
    known->thawed = thawed;
  } else {
    struct thread thread = {.watch = *watch, .runnable = 1, .thawed = thawed};
    /* Full: it is as if it slept, which costs its sandbox the foreground and nobody else anything. */
    if (bpf_map_update_elem(&threads, &id, &thread, BPF_ANY)) return;
  }
  add(watch, ONE_CHANGE + 1, thawed);
}

static __always_inline void stops(__u32 id, struct watch *watch) {
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (known && known->watch.number == watch->number) {
    if (!known->runnable) return;
    known->runnable = 0;
    add(watch, ONE_CHANGE - 1, known->thawed);
  } else {
    /* So that `seed`, which may have looked before, leaves it alone. */
    struct thread thread = {.watch = *watch, .runnable = 0};
    bpf_map_update_elem(&threads, &id, &thread, BPF_ANY);
  }
}

/*
 * It leaves its CPU for the last time. What is known of it is taken back by what was noted with it: its process may not be
 * known any more, since the threads of one end in any order, and may block and wake after they have begun to.
 */
static __always_inline void ends(__u32 id) {
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (!known) return;
  if (known->runnable) add(&known->watch, ONE_CHANGE - 1, known->thawed);
  bpf_map_delete_elem(&threads, &id);
}

static __always_inline void has_cpu(struct thread *known) {
  if (!known->thawed) return;
  known->thawed = 0;
  __u32 index = known->watch.place;
  struct place *place = bpf_map_lookup_elem(&places, &index);
  if (place && place->number == known->watch.number) __sync_fetch_and_add(&place->thawed, -1);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int state) {
  if (is_frozen(next)) {
    __u32 wakes = next->pid;
    struct thread *known = bpf_map_lookup_elem(&threads, &wakes);
    if (known) has_cpu(known);
  }
  if (preempt || state == 0) return 0;
  __u32 id = prev->pid;
  if (state & STATE_DEAD) {
    ends(id);
    return 0;
  }
  struct watch *watch = watch_of(prev);
  if (watch) stops(id, watch);
  return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task) {
  struct watch *watch = watch_of(task);
  if (watch) runs(task->pid, watch, is_frozen(task));
  return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *task) {
  struct watch *watch = watch_of(task);
  if (watch) runs(task->pid, watch, is_frozen(task));
  return 0;
}

/* Children of processes that are watched by their ids are watched too. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) {
  __u32 process = parent->tgid;
  struct watch *watch = bpf_map_lookup_elem(&processes, &process);
  __u32 made = child->tgid;
  if (watch && made != process) {
    struct watch copy = *watch;
    bpf_map_update_elem(&processes, &made, &copy, BPF_ANY);
  }
  return 0;
}

/* The process goes with its last thread, which need not be its first. Others may still be on their way out. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task) {
  __u32 process = task->tgid;
  if (task->signal->live.counter == 0) bpf_map_delete_elem(&processes, &process);
  return 0;
}

/* A thread that is not the first of its process, and runs another program, takes the first one's number. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old) {
  __u32 before = old;
  __u32 after = task->pid;
  if (before == after) return 0;
  struct watch *watch = watch_of(task);
  if (watch) {
    runs(after, watch, 0);
    stops(before, watch);
  }
  bpf_map_delete_elem(&threads, &before);
  return 0;
}

static __always_inline int asked_in_vain(void) {
  struct task_struct *task = bpf_get_current_task_btf();
  struct watch *watch = watch_of(task);
  if (!watch) return 0;
  __u32 index = watch->place;
  struct place *place = bpf_map_lookup_elem(&places, &index);
  if (!place || place->number != watch->number) return 0;
  __u32 id = task->pid;
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (!known || known->watch.number != watch->number) return 0;
  /* It has one, even if no switch to it was told: a kernel was seen that hides those from some process to others. */
  has_cpu(known);
  __u64 now = bpf_ktime_get_ns();
  __u64 gap = now - known->asked_ns;
  __u32 seen = place->inputs + place->sends;
  int goes_on = gap < POLL_GAP_NS && place->seen == seen && (__u32)place->word - place->thawed == 1;
  known->asked_ns = now;
  place->seen = seen;
  if (!goes_on) {
    place->run_ns = 0;
    return 0;
  }
  place->polled_ns += gap;
  place->run_ns += gap;
  __u32 stop_after = place->stop_after_ns;
  if (stop_after && place->run_ns >= stop_after) {
    place->run_ns = 0;
    __sync_fetch_and_add(&place->stops, 1);
    bpf_send_signal(STOP);
    ring(place, RINGS_FOR_CHANGES);
  }
  return 0;
}

/* Whether a call that answered 0 asked whether there is something to read, or to do. */
static __always_inline int asks(struct pt_regs *regs) {
  struct pt_regs___x86 *x86 = (void *)regs;
  if (bpf_core_field_exists(x86->orig_ax)) {
    switch (x86->orig_ax) {
      case 7:   /* poll */
      case 23:  /* select */
      case 232: /* epoll_wait */
      case 270: /* pselect6 */
      case 271: /* ppoll */
      case 281: /* epoll_pwait */
      case 441: /* epoll_pwait2 */
        return 1;
    }
    return 0;
  }
  struct pt_regs___arm64 *arm64 = (void *)regs;
  if (!bpf_core_field_exists(arm64->syscallno)) return 0;
  switch (arm64->syscallno) {
    case 22:  /* epoll_pwait */
    case 72:  /* pselect6 */
    case 73:  /* ppoll */
    case 441: /* epoll_pwait2 */
      return 1;
  }
  return 0;
}

/* Whether it waited does not matter: who waits for longer than the gap does not poll. */
SEC("?tp_btf/sys_exit")
int BPF_PROG(on_answer, struct pt_regs *regs, long result) {
  if (result == -TRY_AGAIN || (result == 0 && asks(regs))) return asked_in_vain();
  return 0;
}

/* A socket belongs to the cgroup in which it was made, whatever its network. */
static __always_inline struct watch *owner_of(struct sock *socket) {
  __u64 id = socket->sk_cgrp_data.cgroup->kn->id;
  return bpf_map_lookup_elem(&cgroups, &id);
}

static __always_inline void note(struct place *place, __u64 *moment) {
  if (!place->notes_traffic) return;
  __u64 now = bpf_ktime_get_ns();
  if (now > *moment) *moment = now;
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *socket, int result, int flags) {
  if (result <= 0) return 0;
  struct watch *watch = watch_of(bpf_get_current_task_btf());
  if (!watch) return 0;
  __u32 index = watch->place;
  struct place *place = bpf_map_lookup_elem(&places, &index);
  if (!place || place->number != watch->number) return 0;
  __sync_fetch_and_add(&place->sends, 1);
  /* Its output and its channel are sockets too, and the platform's. */
  struct watch *owner = place->notes_traffic ? owner_of(socket) : 0;
  if (owner && owner->number == watch->number) note(place, &place->sent_ns);
  ring(place, RINGS_FOR_TRAFFIC);
  return 0;
}

SEC("?tp_btf/sk_data_ready")
int BPF_PROG(on_input, struct sock *socket) {
  struct watch *watch = owner_of(socket);
  if (!watch) return 0;
  __u32 index = watch->place;
  struct place *place = bpf_map_lookup_elem(&places, &index);
  if (!place || place->number != watch->number) return 0;
  __sync_fetch_and_add(&place->inputs, 1);
  note(place, &place->received_ns);
  ring(place, RINGS_FOR_TRAFFIC);
  return 0;
}

struct seed {
  __u32 thread;
  struct watch watch;
};

/* A thread that was seen running after its sandbox was watched, and of which nothing had been heard when it was looked up. */
SEC("syscall")
int seed(struct seed *seed) {
  __u32 id = seed->thread;
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (known && known->watch.number == seed->watch.number) return 0;
  /* Of an earlier watch: nothing has been heard since this one began. */
  if (known) bpf_map_delete_elem(&threads, &id);
  struct thread thread = {.watch = seed->watch, .runnable = 1};
  if (bpf_map_update_elem(&threads, &id, &thread, BPF_NOEXIST)) return 0;
  add(&thread.watch, ONE_CHANGE + 1, 0);
  return 0;
}

/* It had ended before it was seeded, or just after: nobody else takes it back. */
SEC("syscall")
int unseed(struct seed *seed) {
  __u32 id = seed->thread;
  struct thread *known = bpf_map_lookup_elem(&threads, &id);
  if (known && known->watch.number == seed->watch.number) ends(id);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
