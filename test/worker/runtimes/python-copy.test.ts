/** The cell of the Python runtime under bubblewrap: real zygotes, real copies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../sandbox/harness.ts';
import { Cell, skip, valueOf, zygoteOf } from './python-cell.ts';

test('a copy answers once, with what the function initialised, and ends', { skip }, async () => {
  const cell = await zygoteOf(
    {
      'index.py':
        'import shared, os\nn = 40\nprint("init")\ndef handler(e, c):\n  global n\n  n += e\n  print("run", n)\n  return [n, shared.value, os.environ["K"]]',
    },
    { K: 'v' },
    { 'python/shared.py': 'value = "layer"' },
  );
  assert.equal(cell.log, 'init\n');
  for (const event of [2, 3]) {
    const copy = cell.copy();
    const outcome = await copy.invoke(event);
    assert.deepEqual(
      [outcome.value, outcome.last, outcome.log],
      [[40 + event, 'layer', 'v'], true, `run ${40 + event}\n`],
    );
    assert.deepEqual(await copy.exit, { kind: 'exit', code: 0 });
  }
  await cell.stop();
});

test('a copy that is kept answers many, and survives its errors', { skip }, async () => {
  const cell = await zygoteOf('n = 0\ndef handler(e, c):\n  global n\n  n += 1\n  return n / e["by"]');
  const copy = cell.copy(false);
  assert.equal((await copy.invoke({ by: 1 })).value, 1);
  const failed = await copy.invoke({ by: 0 });
  assert.deepEqual([failed.value.errorType, failed.last], ['ZeroDivisionError', false]);
  assert.equal((await copy.invoke({ by: 1 })).value, 3);
  copy.stop();
  assert.deepEqual(await copy.exit, { kind: 'killed' });
  await cell.stop();
});

test('how a copy ends is known', { skip }, async () => {
  const cell = await zygoteOf(`
import ctypes, os, sys
def handler(e, c):
    if e == "exit": sys.exit(3)
    if e == "_exit": os._exit(4)
    if e == "fault": ctypes.string_at(0)
    if e == "memory": return len(bytearray(os.urandom(1)) * 400_000_000)`);
  const reason = async (event: string): Promise<unknown> => {
    const copy = cell.copy();
    await copy.invoke(event);
    return copy.exit;
  };
  assert.deepEqual(await reason('exit'), { kind: 'exit', code: 3 });
  assert.deepEqual(await reason('_exit'), { kind: 'exit', code: 4 });
  assert.deepEqual(await reason('fault'), { kind: 'signal', signal: 'SIGSEGV' });
  assert.deepEqual(await reason('memory'), { kind: 'oom' });
  assert.equal(await valueOf(cell, 'nothing'), null);
  await cell.stop();
});

const DRAWS = `
import os, random, secrets, ssl, sys, tempfile, time, uuid
import multiprocessing
own = random.Random()
chosen = random.Random(42)
random.random(); own.random(); uuid.uuid1(); uuid.uuid4(); secrets.token_hex(); ssl.RAND_bytes(4)
def handler(event, context):
    return {"random": random.random(), "own": own.random(), "uuid4": str(uuid.uuid4()), "uuid1": str(uuid.uuid1()),
      "secrets": secrets.token_hex(8), "ssl": ssl.RAND_bytes(8).hex(), "urandom": os.urandom(8).hex(),
      "shuffle": random.sample(range(10**9), 2), "temporary": tempfile.mktemp(),
      "key": multiprocessing.current_process().authkey.hex(), "chosen": chosen.random()}`;

test('copies differ in everything that is drawn by chance', { skip }, async () => {
  const cell = await zygoteOf(DRAWS);
  const count = 40;
  const seen = new Map<string, Set<string>>();
  for (let index = 0; index < count; index++) {
    for (const [name, drawn] of Object.entries(await valueOf(cell))) {
      const values = seen.get(name) ?? new Set();
      seen.set(name, values.add(JSON.stringify(drawn)));
    }
  }
  const sizes = Object.fromEntries([...seen].map(([name, values]) => [name, values.size]));
  assert.deepEqual(sizes, Object.fromEntries([...seen.keys()].map((name) => [name, name === 'chosen' ? 1 : count])));
  await cell.stop();
});

test('a copy has namespaces of its own, and no privileges', { skip }, async () => {
  const cell = await zygoteOf(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tried(call): return "done" if call() >= 0 else os.strerror(ctypes.get_errno())
def handler(event, context):
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    def writes(path):
        try: open(path, "w").write("x"); return "written"
        except OSError as error: return type(error).__name__
    before = os.listdir("/tmp")
    open("/tmp/mine", "w").write("x")
    return {"pid": os.getpid(), "processes": [name for name in os.listdir("/proc") if name.isdigit()],
      "tmp": before, "descriptors": sorted(os.listdir("/proc/self/fd")),
      "capabilities": {status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16},
      "signals": status["SigBlk"].strip(), "threads": status["Threads"].strip(),
      "mount": tried(lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 6, None)),
      "unshare": tried(lambda: libc.unshare(0x28000000 | 0x20000)), "user": tried(lambda: libc.unshare(0x10000000)),
      "sys": writes("/proc/sys/kernel/hostname"), "code": writes("/var/task/x"), "usr": writes("/usr/x"),
      "terminals": os.listdir("/dev/pts"), "terminal": writes("/dev/pts/0"),
      "environment": [name for name in os.environ if name.startswith("PERCH")]}`);
  for (let index = 0; index < 2; index++) {
    assert.deepEqual(await valueOf(cell), {
      pid: 1,
      processes: ['1'],
      tmp: [],
      descriptors: ['0', '1', '2', '3', '4', '5'],
      capabilities: true,
      signals: '0000000000000000',
      threads: '1',
      mount: 'Operation not permitted',
      unshare: 'Operation not permitted',
      user: 'Operation not permitted',
      sys: 'OSError',
      code: 'OSError',
      usr: 'OSError',
      terminals: [],
      terminal: 'PermissionError',
      environment: [],
    });
  }
  await cell.stop();
});

test('what a copy leaves running ends with it', { skip }, async () => {
  const cell = await zygoteOf(`
import os, subprocess
def handler(event, context):
    subprocess.Popen(["sh", "-c", "trap '' TERM HUP; setsid sleep 1000 & setsid sleep 1000"], start_new_session=True)
    return os.getpid()`);
  const copy = cell.copy();
  assert.equal((await copy.invoke({})).value, 1);
  assert.deepEqual(await copy.exit, { kind: 'exit', code: 0 });
  await cell.stop();
});

test('what cannot be copied is named', { skip }, async (t) => {
  const handler = '\ndef handler(e, c): pass\n';
  const cases: [string, string, RegExp[]][] = [
    [
      'a thread',
      'import threading, time\nthreading.Thread(target=time.sleep, args=(99,), name="poller", daemon=True).start()',
      [/^running threads: poller$/],
    ],
    [
      'a timer',
      'import threading\nt = threading.Timer(99, print)\nt.daemon = True\nt.start()',
      [/^running threads: Thread-1$/],
    ],
    [
      'a socket',
      'import socket\ns = socket.socket(socket.AF_INET)\ns.bind(("127.0.0.1", 0))\ns.listen()',
      [/^a listening TCP socket \(descriptor \d+\)$/],
    ],
    ['a pair of sockets', 'import socket\ns = socket.socketpair()', [/^an open Unix socket \(descriptors \d+, \d+\)$/]],
    ['a socket without a name', 'import socket\ns = socket.socket()', [/^an open socket \(descriptor \d+\)$/]],
    [
      'a Unix socket',
      'import socket\ns = socket.socket(socket.AF_UNIX); s.bind("\\0x"); s.listen()',
      [/^a listening Unix socket \(descriptor \d+\)$/],
    ],
    [
      'a socket that waits for datagrams',
      'import socket\ns = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))',
      [/^an open UDP socket \(descriptor \d+\)$/],
    ],
    ['a pipe', 'import os\np = os.pipe()', [/^an open pipe \(descriptors \d+, \d+\)$/]],
    ['many pipes', 'import os\np = [os.pipe() for _ in range(9)]', [/^an open pipe \(descriptors (\d+, ){5}…\)$/]],
    ['a file', 'f = open("/proc/self/stat")', [/^an open file: \/proc\/2\/stat \(descriptor \d+\)$/]],
    [
      'a file without a name',
      'import tempfile\nf = tempfile.TemporaryFile()',
      [/^an open file: \/tmp\/#\d+ \(deleted\)/],
    ],
    [
      'an event loop',
      'import asyncio\nl = asyncio.new_event_loop()',
      [/^an event loop of asyncio \(descriptors \d+, \d+, \d+\)$/],
    ],
    [
      'a selector',
      'import selectors\ns = selectors.DefaultSelector()',
      [/^an event loop or selector \(epoll\) \(descriptor \d+\)$/],
    ],
    [
      'an event loop with a connection',
      'import asyncio, socket\nl = asyncio.new_event_loop(); m = asyncio.new_event_loop(); s = socket.socketpair()',
      [/^an event loop of asyncio \(descriptors (\d+, ){5}…\)$/, /^an open Unix socket \(descriptors \d+, \d+\)$/],
    ],
    ['a child', 'import subprocess\nc = subprocess.Popen(["sleep", "99"])', [/^other processes: sleep$/]],
    ['a daemon', 'import subprocess\nsubprocess.run(["sh", "-c", "sleep 99 &"])', [/^other processes: (sh|sleep)$/]],
    ['shared memory', 'import mmap\nm = mmap.mmap(-1, 4096)', [/^shared memory: \/dev\/zero \(deleted\)$/]],
    ['files in /tmp', 'open("/tmp/model", "w").close()', [/^files left in \/tmp: model$/]],
    ['an alarm', 'import signal\nsignal.alarm(99)', [/^an alarm that is set \(signal\.alarm or ITIMER_REAL\)$/]],
    [
      'a working folder',
      'import os\nos.mkdir("/tmp/x")\nos.chdir("/tmp/x")\nos.rmdir("/tmp/x")',
      [/^a working folder that is not its own/],
    ],
    [
      'a standard descriptor that was closed',
      'import os\nos.close(0)',
      [/^a descriptor of the platform that was closed \(0\)$/],
    ],
  ];
  for (const [name, code, expected] of cases) {
    await t.test(name, async () => {
      const cell = new Cell();
      const report = await cell.adopt(code + handler);
      assert.equal(report?.kind, 'uncopyable', JSON.stringify(report) + cell.output + cell.log);
      const reasons = report.kind === 'uncopyable' ? report.reasons : [];
      assert.equal(reasons.length, expected.length, JSON.stringify(reasons));
      for (const [index, pattern] of expected.entries()) assert.match(reasons[index]!, pattern);
      await cell.stop();
    });
  }
});

test('files that nobody can change stay open, each copy at its own position', { skip }, async () => {
  const cell = await zygoteOf({
    data: 'abcdefghij',
    'index.py': `
import mmap, os
first = open("/var/task/data"); gap = open("/var/task/index.py"); second = os.open("/var/task/data", os.O_RDONLY)
gap.close(); null = open("/dev/null", "w"); os.read(second, 2)
view = mmap.mmap(second, 0, access=mmap.ACCESS_READ)
def handler(event, context):
    print("nowhere", file=null, flush=True)
    return [first.read(3), os.read(second, 3).decode(), view[:2].decode(), sorted(map(int, os.listdir("/proc/self/fd")))[:3]]`,
  });
  const kept = [cell.copy(), cell.copy()];
  for (const copy of kept) assert.deepEqual((await copy.invoke({})).value, ['abc', 'cde', 'ab', [0, 1, 2]]);
  await cell.stop();
});

test('what was used and given up again does no harm', { skip }, async () => {
  const cell = await zygoteOf(`
import asyncio, concurrent.futures, mmap, os, signal, socket, subprocess, tempfile, threading
with concurrent.futures.ThreadPoolExecutor() as pool: list(pool.map(str, range(10)))
t = threading.Thread(target=print, args=("from a thread",)); t.start(); t.join()
idle = concurrent.futures.ThreadPoolExecutor()
asyncio.run(asyncio.sleep(0))
socket.create_server(("127.0.0.1", 0))
left = subprocess.Popen(["true"])
while open(f"/proc/{left.pid}/stat").read().split()[2] != "Z": pass
subprocess.run(["true"], check=True)
with tempfile.NamedTemporaryFile() as f: f.write(b"x")
with open(__file__) as f: view = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
class Cycle: pass
cycle = Cycle(); cycle.self = cycle; cycle.file = open(__file__); del cycle
signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGTERM, lambda *a: None)
def handler(e, c):
    return [list(idle.map(str, range(3))), signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN]`);
  assert.match(cell.log, /from a thread/);
  for (let index = 0; index < 3; index++) assert.deepEqual(await valueOf(cell), [['0', '1', '2'], true]);
  await cell.stop();
});

test('what passes in a moment is waited for', { skip }, async () => {
  const cell = await zygoteOf(`
import signal, socket, subprocess, threading, time
def held(seconds):
    with open("/proc/self/stat"), socket.socket(): time.sleep(seconds)
ending = threading.Thread(target=held, args=(0.01,)); ending.start()
timer = threading.Timer(0.01, print, ("from a timer",)); timer.start()
child = subprocess.Popen(["sleep", "0.01"])
signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 0.01)
def handler(e, c): return threading.active_count()`);
  assert.match(cell.log, /from a timer/);
  for (let index = 0; index < 2; index++) assert.equal(await valueOf(cell), 1);
  await cell.stop();
});

test('initialisation that fails is answered with its error, and ends the cell', { skip }, async () => {
  const cases: [string, string, RegExp][] = [
    ['raise ValueError("no")', 'ValueError', /^no$/],
    ['import nowhere', 'Runtime.ImportModuleError', /nowhere/],
    ['def handler(', 'Runtime.UserCodeSyntaxError', /Syntax error/],
    ['x = 1', 'Runtime.HandlerNotFound', /missing/],
  ];
  for (const [code, errorType, message] of cases) {
    const cell = new Cell();
    const report = await cell.adopt(code);
    assert.equal(report?.kind, 'init-error', JSON.stringify(report));
    const described = JSON.parse(report.kind === 'init-error' ? report.payload.toString() : '');
    assert.equal(described.errorType, errorType);
    assert.match(described.errorMessage, message);
    assert.deepEqual(await cell.exit, { kind: 'exit', code: 1 });
    assert.match(cell.log, /^\[ERROR\]/);
  }
  const exits: [string, number, string][] = [
    ['sys.exit(5)', 5, ''],
    ['sys.exit()', 0, ''],
    ['sys.exit("a message")', 1, 'a message\n'],
    ['atexit.register(print, "bye"); quit(7)', 7, 'bye\n'],
    ['threading.Thread(target=time.sleep, args=(99,)).start(); sys.exit(3)', 3, ''],
  ];
  for (const [code, status, log] of exits) {
    const left = new Cell();
    assert.equal(await left.adopt(`import atexit, sys, threading, time\n${code}`), null);
    assert.deepEqual([await left.exit, left.log], [{ kind: 'exit', code: status }, log], code);
  }
});

test('an error beside initialisation is logged, and what awaits it fails', { skip }, async () => {
  const cases: [string, RegExp][] = [
    [
      'import asyncio\nasync def task(): raise ValueError("lost")\nasync def main():\n  asyncio.create_task(task())\n  await asyncio.sleep(0.01)\nasyncio.run(main())',
      /Task exception was never retrieved[^]*ValueError: lost/,
    ],
    ['async def task(): pass\ntask()', /coroutine 'task' was never awaited/],
    [
      'import threading\ndef run(): raise ValueError("lost")\nt = threading.Thread(target=run)\nt.start(); t.join()',
      /Exception in thread Thread-1 [^]*ValueError: lost/,
    ],
    ['class Left:\n  def __del__(self): raise ValueError("lost")\nLeft()', /Exception ignored in[^]*ValueError: lost/],
  ];
  for (const [code, log] of cases) {
    const cell = await zygoteOf(`${code}\ndef handler(e, c): return 1`);
    assert.match(cell.log, log);
    assert.equal(await valueOf(cell), 1);
    await cell.stop();
  }
  const awaited = new Cell();
  const report = await awaited.adopt(
    'import asyncio\nasync def main(): raise ValueError("awaited")\nasyncio.run(main())',
  );
  assert.equal(report?.kind, 'init-error');
  assert.match(report.kind === 'init-error' ? report.payload.toString() : '', /"errorType": "ValueError"/);
});

test('a function that replaces what the runtime uses is copied and answered all the same', { skip }, async () => {
  const cell = await zygoteOf(`
import gc, json, os, signal, socket, struct, time
def broken(*a, **k): raise RuntimeError("broken")
json.loads = json.dumps = os.read = os.write = os.close = os._exit = os.fork = os.waitpid = os.dup2 = broken
os.closerange = os.urandom = os.listdir = os.readlink = os.getpid = os.getcwd = os.fstat = os.stat = os.open = os.lseek = broken
signal.signal = signal.pthread_sigmask = signal.getsignal = signal.getitimer = broken
gc.collect = gc.freeze = time.sleep = time.monotonic = socket.socket = struct.Struct = broken
def handler(event, context): return event`);
  for (let index = 0; index < 3; index++) assert.equal(await valueOf(cell, index), index);
  await cell.stop();
});

test('a hundred copies leave nothing behind', { skip }, async () => {
  const name = `zygote-${process.pid}`;
  const cell = await zygoteOf(`open("/proc/self/comm", "w").write("${name}")\ndef handler(e, c): return e`);
  const id = processNamed(name);
  assert.equal(await valueOf(cell, 'first'), 'first');
  const before = readdirSync(`/proc/${id}/fd`).map((name) => readlinkSync(`/proc/${id}/fd/${name}`));
  for (let index = 0; index < 100; index += 4) {
    const values = await Promise.all([0, 1, 2, 3].map((more) => valueOf(cell, index + more)));
    assert.deepEqual(values, [index, index + 1, index + 2, index + 3]);
  }
  assert.deepEqual(
    readdirSync(`/proc/${id}/fd`).map((name) => readlinkSync(`/proc/${id}/fd/${name}`)),
    before,
  );
  // The last ones are reaped with the next frame at the latest.
  assert.equal(await valueOf(cell, 'last'), 'last');
  await until(() => childrenOf(id).length <= 1);
  await cell.stop();
});

/** Of the zygote outside: the process that gave itself this name. */
function processNamed(name: string): string {
  const found = readdirSync('/proc').filter((id) => {
    try {
      return /^\d+$/.test(id) && readFileSync(`/proc/${id}/comm`, 'utf8').trim() === name;
    } catch {
      return false;
    }
  });
  assert.equal(found.length, 1);
  return found[0]!;
}

function childrenOf(id: string): string[] {
  return readFileSync(`/proc/${id}/task/${id}/children`, 'latin1').split(' ').filter(Boolean);
}
