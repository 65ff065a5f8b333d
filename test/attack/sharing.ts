/** What a function may try to have more of a core than others leave it, as data; sharing.test.ts tries it on a real platform. */

/**
 * Forks, leaves its session, and asks the kernel for a better place over and over, in each of its processes, while all of
 * them compute; for so many seconds, or until a signal says that it was enough. Answers what the kernel granted.
 */
export const GREEDY = {
  'index.py': `# the greedy one
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
IOPRIO_SET = {'x86_64': 251, 'aarch64': 30}[os.uname().machine]

def write(file, text):
    with open(file, 'w') as out:
        out.write(text)

def ioprio():
    if libc.syscall(IOPRIO_SET, 1, 0, 0x2000) != 0:
        raise OSError(ctypes.get_errno(), 'ioprio_set')

TRIES = {
    'other': lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)),
    'batch': lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)),
    'round robin': lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    'reset on fork': lambda: os.sched_setscheduler(0, os.SCHED_IDLE | 0x40000000, os.sched_param(0)),
    'parameters': lambda: os.sched_setparam(0, os.sched_param(1)),
    'nice': lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
    'disk': ioprio,
    'autogroup': lambda: write('/proc/self/autogroup', '-20'),
    'affinity': lambda: os.sched_setaffinity(0, range(os.cpu_count())),
}

enough = []
signal.signal(signal.SIGUSR1, lambda number, frame: enough.append(number))

def attempt():
    granted = []
    for name, ask in TRIES.items():
        try:
            ask()
            granted.append(name)
        except OSError:
            pass
    return granted

def compute(until):
    granted = set()
    while time.monotonic() < until and not enough:
        granted.update(attempt())
        for _ in range(20000):
            pass
    return granted

def child(until, own_session):
    if own_session:
        os.setsid()
    compute(until)
    os._exit(0)

def handler(event, context):
    until = time.monotonic() + event['seconds']
    children = []
    for index in range(3):
        pid = os.fork()
        if pid == 0:
            child(until, index > 0)
        children.append(pid)
    granted = compute(until)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return sorted(granted)
`,
};

/** Uses so much CPU time; the liar says without end that it sleeps and wakes meanwhile. */
export function twin(isLiar: boolean): Record<string, string> {
  const say = isLiar ? 'perch.sleeping(); perch.awake(); perch.sleeping()' : 'pass';
  return {
    'index.py': `# ${isLiar ? 'the liar' : 'the honest one'}
import perch, time

def handler(event, context):
    until = time.process_time() + event['cpuMs'] / 1000
    while time.process_time() < until:
        ${say}
        for _ in range(20000):
            pass
    return event['cpuMs']
`,
  };
}

/**
 * Polls, and says all the time that it sleeps, so that the platform freezes and thaws it without end: from another process it sends itself what it
 * waits for. Answers after so many seconds how often that came.
 */
export const POLLING_LIAR = {
  'index.py': `# the polling liar
import os, perch, select, signal, socket, time

def handler(event, context):
    until = time.monotonic() + event['seconds']
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(('127.0.0.1', 0))
    pid = os.fork()
    if pid == 0:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while time.monotonic() < until:
            sender.sendto(b'x', receiver.getsockname())
            time.sleep(0.001)
        os._exit(0)
    count = 0
    while time.monotonic() < until:
        perch.sleeping()
        if select.select([receiver], [], [], 0)[0]:
            receiver.recv(1)
            count += 1
            perch.awake()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return count
`,
};

export const SHARING_ROWS: readonly { readonly tried: string; readonly stoppedBy: string }[] = [
  {
    tried:
      'a borrower that ignores everything: it forks, leaves its session, and asks for another scheduling policy, priority and CPU, from each process, all the time',
    stoppedBy: 'what it forks is in the background as it is; system call filter: nobody leaves it by itself',
  },
  {
    tried: 'never to sleep, so that nobody else has the core (`preempt`)',
    stoppedBy: 'who has used least goes first; all of its processes are in the background meanwhile',
  },
  {
    tried: 'to say without end that it sleeps and wakes, and to compute (`preempt`)',
    stoppedBy: 'hints only yield, are rationed, and count for nothing where CPU time is used',
  },
  {
    tried: 'to say that it sleeps, so that its core is lent, and to compute (`lend`)',
    stoppedBy: 'the same: it has lent a core that it uses, and whoever came there is answered',
  },
  {
    tried:
      'to say that it sleeps, to poll, and to send itself what wakes it, so that it is frozen and thawed without end (`lend`)',
    stoppedBy:
      'hints are rationed; only its own sandbox is stopped and frozen, its timeout counts on, and others are answered',
  },
];
