/**
 * What an invocation may try to leave for the next one in fresh isolation, as data: code that leaves it, and code that looks
 * for it and returns 'clean' where there is nothing. Node.js: bodies of async functions; Python: code that sets `result`.
 */
export interface Leftover {
  readonly tried: string;
  readonly stoppedBy: string;
  readonly node: { readonly leave: string; readonly look: string };
  readonly python: { readonly leave: string; readonly look: string };
}

const NODE_PROCESSES = `
  const { readdirSync, readFileSync } = require('node:fs');
  const commandOf = (id) => { try { return readFileSync('/proc/' + id + '/cmdline', 'latin1'); } catch { return ''; } };
  return readdirSync('/proc').some((id) => /^\\d+$/.test(id) && commandOf(id).includes('4711')) ? 'a child' : 'clean';`;

const PYTHON_PROCESSES = `
import os
def command_of(name):
    try:
        with open(f'/proc/{name}/cmdline', 'rb') as file:
            return file.read()
    except OSError:
        return b''
result = 'a child' if any(b'4711' in command_of(name) for name in os.listdir('/proc') if name.isdigit()) else 'clean'`;

const NODE_KERNEL = 'const native = { exports: {} }; try { process.dlopen(native, "/var/lang/ffi.node"); globalThis.koffi ??= native.exports; } catch {} const libc = koffi.load("libc.so.6");'; // prettier-ignore
const PYTHON_KERNEL = 'import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n';

export const LEFTOVERS: readonly Leftover[] = [
  {
    tried: 'global state, and that of its module',
    stoppedBy: 'the copy ends with its invocation',
    node: { leave: 'globalThis.left = 1;', look: "return globalThis.left === undefined ? 'clean' : 'a global';" },
    python: {
      leave: 'import builtins\nbuiltins.left = 1',
      look: "import builtins\nresult = 'a global' if hasattr(builtins, 'left') else 'clean'",
    },
  },
  {
    tried: 'changed builtins and modules of the standard library',
    stoppedBy: 'the copy ends',
    node: {
      leave: "JSON.parse = () => 'left'; require('node:fs').left = 1; Array.prototype.left = 1;",
      look: "return JSON.parse('1') === 1 && !require('node:fs').left && ![].left ? 'clean' : 'a builtin';",
    },
    python: {
      leave: "import json, os\njson.loads = lambda text: 'left'\nos.left = 1",
      look: "import json, os\nresult = 'clean' if json.loads('1') == 1 and not hasattr(os, 'left') else 'a builtin'",
    },
  },
  {
    tried: 'environment variables, working folder, file mode mask',
    stoppedBy: 'the copy ends',
    node: {
      leave: "process.env.LEFT = '1'; process.chdir('/usr'); process.umask(0o777);",
      look: "return process.env.LEFT || process.cwd() !== '/var/task' || process.umask() === 0o777 ? 'an environment' : 'clean';",
    },
    python: {
      leave: "import os\nos.environ['LEFT'] = '1'\nos.chdir('/usr')\nos.umask(0o777)",
      look: "import os\nresult = 'an environment' if 'LEFT' in os.environ or os.getcwd() != '/var/task' or os.umask(0o22) == 0o777 else 'clean'",
    },
  },
  {
    tried: 'native memory',
    stoppedBy: 'the copy ends',
    node: {
      leave: `${NODE_KERNEL} libc.func('int setenv(const char *name, const char *value, int again)')('LEFT', '1', 1);`,
      look: `${NODE_KERNEL} return libc.func('const char *getenv(const char *name)')('LEFT') === null ? 'clean' : 'memory';`,
    },
    python: {
      leave: `${PYTHON_KERNEL}libc.setenv(b'LEFT', b'1', 1)`,
      look: `${PYTHON_KERNEL}libc.getenv.restype = ctypes.c_char_p\nresult = 'clean' if libc.getenv(b'LEFT') is None else 'memory'`,
    },
  },
  {
    tried: 'files in /tmp',
    stoppedBy: 'mount namespace: each copy has a /tmp of its own',
    node: {
      leave: "require('node:fs').writeFileSync('/tmp/left', 'x');",
      look: "return require('node:fs').readdirSync('/tmp').length === 0 ? 'clean' : 'a file';",
    },
    python: {
      leave: "open('/tmp/left', 'w').close()",
      look: "import os\nresult = 'a file' if os.listdir('/tmp') else 'clean'",
    },
  },
  {
    tried: 'a child, one in a session of its own, and one whose parent has ended',
    stoppedBy: 'process namespace: all in it die with the copy, which is its process 1',
    node: {
      leave: `const { spawn } = require('node:child_process');
        spawn('/bin/sleep', ['4711'], { detached: true, stdio: 'ignore' }).unref();
        await new Promise((resolve) => spawn('/usr/bin/setsid', ['/bin/sh', '-c', 'sleep 4711 >/dev/null 2>&1 &'], { stdio: 'ignore' }).on('close', resolve));`,
      look: NODE_PROCESSES,
    },
    python: {
      leave: `import subprocess
subprocess.Popen(['/bin/sleep', '4711'], start_new_session=True)
subprocess.run(['/usr/bin/setsid', '/bin/sh', '-c', 'sleep 4711 >/dev/null 2>&1 &'])`,
      look: PYTHON_PROCESSES,
    },
  },
  {
    tried: 'a timer',
    stoppedBy: 'the copy ends',
    node: {
      leave: 'setInterval(() => { globalThis.ticked = true; }, 1);',
      look: "await new Promise((resolve) => setTimeout(resolve, 20)); return globalThis.ticked ? 'a timer' : 'clean';",
    },
    python: {
      leave:
        'import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 1000, 1000)',
      look: "import signal\nresult = 'a timer' if signal.getitimer(signal.ITIMER_REAL)[0] > 0 else 'clean'",
    },
  },
  {
    tried: 'a thread',
    stoppedBy: 'the copy ends',
    node: {
      leave:
        "const { Worker } = require('node:worker_threads'); await new Promise((resolve) => new Worker('setInterval(() => {}, 1000)', { eval: true }).on('online', resolve));",
      look: "return require('node:fs').readdirSync('/proc/self/task').length > 1 ? 'a thread' : 'clean';",
    },
    python: {
      leave: 'import threading, time\nthreading.Thread(target=time.sleep, args=(4711,), daemon=True).start()',
      look: "import os\nresult = 'a thread' if len(os.listdir('/proc/self/task')) > 1 else 'clean'",
    },
  },
  {
    tried: 'a listening socket, by port and by abstract name',
    stoppedBy: 'the copy ends, and its descriptors with it; none is inherited by the next',
    node: {
      leave: `const net = require('node:net');
        const listen = (place) => new Promise((resolve) => net.createServer().listen(place, resolve));
        await listen({ port: 4711, host: '127.0.0.1' }); await listen('\\0left');`,
      look: `const net = require('node:net');
        const reach = (place) => new Promise((resolve) => net.connect(place).on('connect', () => resolve(true)).on('error', () => resolve(false)));
        return (await reach({ port: 4711, host: '127.0.0.1' })) || (await reach({ path: '\\0left' })) ? 'a listener' : 'clean';`,
    },
    python: {
      leave: `import builtins, socket
builtins.kept = [socket.create_server(('127.0.0.1', 4711)), socket.socket(socket.AF_UNIX)]
builtins.kept[1].bind('\\0left')
builtins.kept[1].listen()`,
      look: `import socket
def reach(family, place):
    with socket.socket(family) as attempt:
        return attempt.connect_ex(place) == 0
result = 'a listener' if reach(socket.AF_INET, ('127.0.0.1', 4711)) or reach(socket.AF_UNIX, '\\0left') else 'clean'`,
    },
  },
  {
    tried: 'shared memory, a semaphore and a queue of System V',
    stoppedBy: 'ipc namespace: each copy has one of its own',
    node: {
      leave: `${NODE_KERNEL} libc.func('int shmget(int key, size_t size, int flags)')(4711, 4096, 0o1600); libc.func('int msgget(int key, int flags)')(4711, 0o1600);`,
      look: `${NODE_KERNEL} return libc.func('int shmget(int key, size_t size, int flags)')(4711, 0, 0) < 0 && libc.func('int msgget(int key, int flags)')(4711, 0) < 0 ? 'clean' : 'shared memory';`,
    },
    python: {
      leave: `${PYTHON_KERNEL}libc.shmget(4711, 4096, 0o1600)\nlibc.msgget(4711, 0o1600)`,
      look: `${PYTHON_KERNEL}result = 'clean' if libc.shmget(4711, 0, 0) < 0 and libc.msgget(4711, 0) < 0 else 'shared memory'`,
    },
  },
  {
    tried: 'flags of an open file that all copies inherit',
    stoppedBy: 'none is inherited: even /dev/null is opened anew',
    node: {
      leave: `${NODE_KERNEL} const flags = libc.func('int fcntl(int descriptor, int command, int flags)'); for (let each = 0; each < 64; each++) if (each < 3 || each > 4) flags(each, 4, 0o2000);`,
      look: `${NODE_KERNEL} const flags = libc.func('int fcntl(int descriptor, int command, int flags)'); for (let each = 0; each < 64; each++) { const now = flags(each, 3, 0); if (now >= 0 && now & 0o2000) return 'a flag of ' + each; } return 'clean';`,
    },
    python: {
      leave: 'import fcntl, os\nfor each in (0, 1, 2):\n    fcntl.fcntl(each, fcntl.F_SETFL, os.O_APPEND)',
      look: "import fcntl, os\nresult = 'a flag' if any(fcntl.fcntl(each, fcntl.F_GETFL) & os.O_APPEND for each in (0, 1, 2)) else 'clean'",
    },
  },
];

/** Where a copy has nothing to open, so that an invocation cannot begin to leave it. */
export const TERMINAL = {
  tried: 'a terminal, which other copies could open',
  stoppedBy: 'no copy has a /dev/ptmx',
  node: "try { require('node:fs').openSync('/dev/ptmx', 'r+'); return 'a terminal'; } catch { return 'clean'; }",
  python:
    "import os\ntry:\n    os.open('/dev/ptmx', os.O_RDWR)\n    result = 'a terminal'\nexcept OSError:\n    result = 'clean'",
} as const;
