/**
 * What a function may try to use up, or say that is not so, as data: the body of a handler, and how that has to end for its
 * caller: the type of the error, or what it returned.
 */
export interface Exhaustion {
  readonly tried: string;
  readonly stoppedBy: string;
  readonly node: string;
  readonly python: string;
  readonly ends: RegExp;
  readonly timeoutS: number;
  /** It takes as long as initialisation may. */
  readonly isSlow?: boolean;
}

const FORGE_NODE = (frames: string): string => `
  const fs = require('node:fs');
  const frame = (kind, sequence, text) => { const bytes = Buffer.alloc(16 + text.length); bytes.writeUInt32LE(text.length, 0); bytes[4] = kind; bytes.writeUInt32LE(sequence, 8); bytes.write(text, 16); return bytes; };
  ${frames}`;
const FORGE_PYTHON = (frames: string): string => `
import os, struct, time
def frame(kind, sequence, text):
    return struct.pack('<IBBHII', len(text), kind, 0, 0, sequence, 0) + text
${frames}`;

export const EXHAUSTIONS: readonly Exhaustion[] = [
  {
    tried: 'processes: a fork bomb',
    stoppedBy: 'pids cgroup: 128 tasks; all of them die with the instance',
    node: `const { spawn } = require('node:child_process');
      for (;;) { try { spawn('/bin/sh', ['-c', 'while :; do sleep 1147 & done']).on('error', () => {}); } catch {} await new Promise((resolve) => setTimeout(resolve, 5)); }`,
    python: `
import subprocess, time
while True:
    try:
        subprocess.Popen(['/bin/sh', '-c', 'while :; do sleep 1147 & done'])
    except OSError:
        pass
    time.sleep(0.005)`,
    ends: /^(Sandbox\.Timedout|Runtime\.OutOfMemory|Runtime\.ExitError)$/,
    timeoutS: 1,
  },
  {
    tried: 'memory: heap',
    stoppedBy: 'memory cgroup: the instance is killed alone',
    node: 'const all = []; for (;;) all.push(new Array(1000).fill(Math.random()));',
    python: 'all = []\nwhile True:\n    all.append([0.5] * 1000)',
    ends: /^(Runtime\.OutOfMemory|Runtime\.ExitError)$/,
    timeoutS: 10,
  },
  {
    tried: 'memory: buffers',
    stoppedBy: 'memory cgroup',
    node: 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));',
    python: "all = []\nwhile True:\n    all.append(b'x' * (1 << 20))",
    ends: /^Runtime\.OutOfMemory$/,
    timeoutS: 10,
  },
  {
    tried: 'disk: one large file in /tmp',
    stoppedBy: '/tmp is memory of its own, bounded by its size and by the memory cgroup',
    node: "const fs = require('node:fs'); const file = fs.openSync('/tmp/x', 'w'); for (;;) fs.writeSync(file, Buffer.alloc(1 << 20, 1));",
    python: "file = open('/tmp/x', 'wb')\nwhile True:\n    file.write(b'x' * (1 << 20))",
    ends: /^(Runtime\.OutOfMemory|Error|OSError)$/,
    timeoutS: 10,
  },
  {
    tried: 'disk: files without end, each empty',
    stoppedBy: 'memory cgroup, which counts what the kernel needs for them; the timeout',
    node: "const fs = require('node:fs'); for (let count = 0; ; count++) fs.closeSync(fs.openSync('/tmp/' + count, 'w'));",
    python: "import itertools\nfor count in itertools.count():\n    open(f'/tmp/{count}', 'w').close()",
    ends: /^(Runtime\.OutOfMemory|Sandbox\.Timedout|Error|OSError)$/,
    timeoutS: 2,
  },
  {
    tried: 'descriptors',
    stoppedBy: 'a limit of 1,024 for each process',
    node: "const fs = require('node:fs'); try { for (;;) fs.openSync('/dev/null'); } catch (error) { return error.code; }",
    python:
      "import os\ntry:\n    while True:\n        os.open('/dev/null', os.O_RDONLY)\nexcept OSError as error:\n    result = os.strerror(error.errno)",
    ends: /^(EMFILE|Too many open files)$/,
    timeoutS: 5,
  },
  {
    tried: 'kernel memory: sockets full of what nobody reads',
    stoppedBy: 'the limit of descriptors, and the memory cgroup',
    node: `const net = require('node:net'); const server = net.createServer(() => {}).listen('/tmp/socket'); const all = [];
      for (let count = 0; count < 600; count++) { await new Promise((resolve) => { const socket = net.connect('/tmp/socket', () => { socket.write(Buffer.alloc(1 << 19)); resolve(); }).on('error', resolve); all.push(socket); }); } return 'bounded';`,
    python: `
import socket
all = []
try:
    while True:
        pair = socket.socketpair()
        all.append(pair)
        pair[0].setblocking(False)
        try:
            while True:
                pair[0].send(b'x' * 65536)
        except BlockingIOError:
            pass
except OSError:
    result = 'bounded'`,
    ends: /^(bounded|Runtime\.OutOfMemory|Runtime\.ExitError|Sandbox\.Timedout)$/,
    timeoutS: 5,
  },
  {
    tried: 'threads',
    stoppedBy: 'pids cgroup, and the memory cgroup',
    node: "const { Worker } = require('node:worker_threads'); for (;;) await new Promise((resolve, reject) => new Worker('setInterval(() => {}, 1000)', { eval: true }).on('online', resolve).on('error', reject));",
    python:
      "import threading, time\ntry:\n    while True:\n        threading.Thread(target=time.sleep, args=(1147,), daemon=True).start()\nexcept RuntimeError:\n    result = 'bounded'",
    ends: /^(bounded|Runtime\.OutOfMemory|Runtime\.ExitError|Sandbox\.Timedout|Error|ERR_WORKER_\w+)$/,
    timeoutS: 3,
  },
  {
    tried: 'its core: an endless loop',
    stoppedBy: 'the timeout; the core is its own',
    node: 'for (;;);',
    python: 'while True:\n    pass',
    ends: /^Sandbox\.Timedout$/,
    timeoutS: 1,
  },
  {
    tried: 'the log: 20 MB of lines',
    stoppedBy: '1 MB is kept of each invocation; who sends too much is not listened to until the next tick',
    node: "for (let count = 0; count < 200; count++) console.log('x'.repeat(100_000)); return 'said';",
    python: "for count in range(200):\n    print('x' * 100_000)\nresult = 'said'",
    ends: /^said$/,
    timeoutS: 20,
  },
  {
    tried: 'hints: to say without end that it sleeps and wakes',
    stoppedBy:
      'a hint counts as a kilobyte, and who sends too much is not listened to until the next tick; the timeout',
    node: "const { sleeping, awake } = require('perch'); for (;;) { sleeping(); awake(); }",
    python: 'import perch\nwhile True:\n    perch.sleeping()\n    perch.awake()',
    ends: /^Sandbox\.Timedout$/,
    timeoutS: 1,
  },
  {
    tried: 'the log, past the runtime: what a child writes to its output without end',
    stoppedBy: 'who sends too much is not listened to until the next tick; the timeout',
    node: "require('node:child_process').spawn('/usr/bin/yes', ['x'.repeat(1000)], { stdio: 'inherit' }); await new Promise(() => setInterval(() => {}, 1000));",
    python: "import subprocess\nsubprocess.run(['/usr/bin/yes', 'x' * 1000])",
    ends: /^Sandbox\.Timedout$/,
    timeoutS: 1,
  },
];

/** To answer what it was not asked, on descriptor 4. */
export const FORGERIES: readonly Exhaustion[] = [
  {
    tried: 'answer an invocation that is not its own: by another number, before its own is due, twice',
    stoppedBy: 'an answer counts on the channel of its own instance only, and by the number that was sent there',
    node: FORGE_NODE(
      'fs.writeSync(4, Buffer.concat([1, 2, 3, 1147].map((each) => frame(18, each, \'"forged"\')))); await new Promise((resolve) => setTimeout(resolve, 500));',
    ),
    python: FORGE_PYTHON(
      "os.write(4, b''.join(frame(18, each, b'\"forged\"') for each in (1, 2, 3, 1147)))\ntime.sleep(0.5)",
    ),
    ends: /^(forged|Runtime\.InvalidProtocol)$/,
    timeoutS: 5,
  },
  {
    tried: 'answer without end, or with what is no frame',
    stoppedBy: 'the reader of frames: a breach ends the instance, and nothing more is read',
    node: FORGE_NODE('for (;;) fs.writeSync(4, Buffer.alloc(1 << 16, 7));'),
    python: FORGE_PYTHON("while True:\n    os.write(4, b'\\x07' * 65536)"),
    ends: /^Runtime\.InvalidProtocol$/,
    timeoutS: 5,
  },
  {
    tried: 'say that others sleep and wake: hints by other numbers, and after its own answer',
    stoppedBy: 'a hint counts on the channel of its own instance only, and for the invocation that it serves',
    node: FORGE_NODE(
      "const all = Buffer.concat([0, 2, 3, 1147, 0xffffffff].flatMap((each) => [23, 24].map((kind) => frame(kind, each, '')))); fs.writeSync(4, all); process.nextTick(() => fs.writeSync(4, all)); return 'said';",
    ),
    python: FORGE_PYTHON(
      "os.write(4, b''.join(frame(kind, each, b'') for kind in (23, 24) for each in (0, 2, 3, 1147, 0xffffffff)))\nimport threading\nthreading.Timer(0.05, os.write, (4, frame(23, 1, b''))).start()\nresult = 'said'",
    ),
    ends: /^said$/,
    timeoutS: 5,
  },
  {
    tried: 'say more in a hint than that',
    stoppedBy: 'the reader of frames: a hint has no body',
    node: FORGE_NODE("fs.writeSync(4, frame(23, 1, 'x')); await new Promise((resolve) => setTimeout(resolve, 500));"),
    python: FORGE_PYTHON("os.write(4, frame(23, 1, b'x'))\ntime.sleep(0.5)"),
    ends: /^Runtime\.InvalidProtocol$/,
    timeoutS: 5,
  },
  {
    tried: "send a zygote's frames from a copy",
    stoppedBy: 'an instance has frames of its own; those of a zygote are not among them',
    node: FORGE_NODE(
      "for (const kind of [32, 33, 34, 35, 36, 37]) fs.writeSync(4, frame(kind, 1, 'abcd')); await new Promise((resolve) => setTimeout(resolve, 500));",
    ),
    python: FORGE_PYTHON(
      "os.write(4, b''.join(frame(kind, 1, b'abcd') for kind in (32, 33, 34, 35, 36, 37)))\ntime.sleep(0.5)",
    ),
    ends: /^Runtime\.InvalidProtocol$/,
    timeoutS: 5,
  },
];

/** The same, and more, while a zygote initialises: at the top of the module. */
export const ZYGOTE_EXHAUSTIONS: readonly Exhaustion[] = [
  {
    tried: 'memory, while it initialises',
    stoppedBy: 'memory cgroup: the zygote is killed alone',
    node: 'const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1));',
    python: "all = []\nwhile True:\n    all.append(b'x' * (1 << 20))",
    ends: /^Runtime\.OutOfMemory$/,
    timeoutS: 10,
  },
  {
    tried: 'processes, while it initialises',
    stoppedBy: 'pids cgroup; what holds children cannot be copied, and its zygote is killed with them',
    node: "const { spawn } = require('node:child_process'); for (let count = 0; count < 50; count++) try { spawn('/bin/sh', ['-c', 'while :; do sleep 1147 & done']).on('error', () => {}); } catch {}",
    python:
      "import subprocess\nfor count in range(50):\n    try:\n        subprocess.Popen(['/bin/sh', '-c', 'while :; do sleep 1147 & done'])\n    except OSError:\n        pass",
    ends: /./,
    timeoutS: 2,
  },
  {
    tried: 'time: to initialise without end',
    stoppedBy: 'initialisation has 10 seconds',
    node: 'for (;;);',
    python: 'while True:\n    pass',
    ends: /^(Sandbox\.Timedout|Runtime\.\w+)$/,
    timeoutS: 2,
    isSlow: true,
  },
  {
    tried: 'to say that it is initialised before it is, that copies ended that never were, that it is a new cell',
    stoppedBy: 'what a zygote says is believed of its own function alone, and where it is expected',
    node: FORGE_NODE(
      "for (const kind of [32, 33, 33, 32]) fs.writeSync(4, frame(kind, 0, '')); for (let copy = 0; copy < 100; copy++) fs.writeSync(4, frame(36, copy, 'abcd'));",
    ),
    python: FORGE_PYTHON(
      "os.write(4, b''.join(frame(kind, 0, b'') for kind in (32, 33, 33, 32)) + b''.join(frame(36, copy, b'abcd') for copy in range(100)))",
    ),
    ends: /./,
    timeoutS: 5,
  },
  {
    tried: "to send an instance's frames from a zygote: ready, answers",
    stoppedBy: 'the reader of its frames: a breach ends the zygote',
    node: FORGE_NODE('fs.writeSync(4, frame(18, 1, \'"forged"\'));'),
    python: FORGE_PYTHON('os.write(4, frame(18, 1, b\'"forged"\'))'),
    ends: /^Runtime\.\w+$/,
    timeoutS: 5,
  },
  {
    tried: 'to say from a zygote that it sleeps, before anybody is asked anything',
    stoppedBy: 'the module says nothing outside of an invocation; the frame is a breach there, which ends the zygote',
    node: FORGE_NODE("require('perch').sleeping(); fs.writeSync(4, frame(23, 1, ''));"),
    python: FORGE_PYTHON("import perch\nperch.sleeping()\nos.write(4, frame(23, 1, b''))"),
    ends: /^Runtime\.\w+$/,
    timeoutS: 5,
  },
  {
    tried: 'the log, while it initialises: 20 MB in its frames',
    stoppedBy: '1 MB is kept',
    node: FORGE_NODE("for (let count = 0; count < 200; count++) fs.writeSync(4, frame(37, 0, 'x'.repeat(100_000)));"),
    python: FORGE_PYTHON(
      "for count in range(200):\n    data = frame(37, 0, b'x' * 100_000)\n    while data:\n        data = data[os.write(4, data):]",
    ),
    ends: /./,
    timeoutS: 10,
  },
  {
    tried: 'to say that it is initialised, and to make no copy',
    stoppedBy: 'a copy has 10 seconds to be ready, as initialisation has',
    node: FORGE_NODE("fs.writeSync(4, frame(33, 0, '')); for (;;);"),
    python: FORGE_PYTHON("os.write(4, frame(33, 0, b''))\nwhile True:\n    pass"),
    ends: /^(Sandbox\.Timedout|Runtime\.\w+)$/,
    timeoutS: 2,
    isSlow: true,
  },
  {
    tried: 'to keep the descriptors of its copies, answer in their place, and run on',
    stoppedBy: 'nothing, within one function; what it keeps leads to none but its own copies',
    node: FORGE_NODE(`
      const { makeMessage, receive } = require('/var/runtime/ffi.cjs');
      fs.writeSync(4, frame(33, 0, ''));
      for (;;) {
        const rights = [];
        if (receive(3, makeMessage(Buffer.alloc(64)), 16, rights) === 0) process.reallyExit(0);
        if (rights.length === 0) continue;
        fs.writeSync(rights[1], frame(16, 0, ''));
        fs.readSync(rights[0], Buffer.alloc(1 << 16));
        fs.writeSync(rights[1], frame(18, 1, '"forged"'));
        for (;;);
      }`),
    python: FORGE_PYTHON(`
import socket
control = socket.socket(fileno=os.dup(3))
os.write(4, frame(33, 0, b''))
while True:
    data, rights, _, _ = socket.recv_fds(control, 16, 16)
    if not data:
        os._exit(0)
    if rights:
        os.write(rights[1], frame(16, 0, b''))
        os.read(rights[0], 65536)
        os.write(rights[1], frame(18, 1, b'"forged"'))
        while True:
            pass`),
    ends: /^(forged|Sandbox\.Timedout|Runtime\.\w+)$/,
    timeoutS: 2,
  },
];
