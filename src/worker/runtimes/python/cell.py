# What runs inside a stem cell: boots the runtime, waits for the function whose zygote it becomes, initialises it, and
# forks copies of itself on demand. The frames are drawn in src/wire/zygote-frame.ts.
#
# A copy goes on in this process image, past the loop of its zygote: see perch_runtime/copy.py. The order of what
# happens here is what makes a copy cheap: whatever can be done once is done before the fork.
import os
import sys

_folder = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, _folder)

import array
import gc
import signal
import socket
import time

from perch_runtime import channel, handler, kernel, log, own, separate, uncopyable
from perch_runtime.channel import HEADER, send
from perch_runtime.context import Settings
from perch_runtime.copy import become_copy
from perch_runtime.errors import describe
from perch_runtime.serve import EXIT_UNCAUGHT, Server, leave

sys.path.remove(_folder)

ADOPT = 2
FORK = 3
REAP = 4
CELL = 32
INITIALISED = 33
INIT_ERROR = 34
UNCOPYABLE = 35
EXITED = 36
LOG = 37

EXIT_COPY_FAILED = 70
REAP_WAIT_S = 0.2
STATUS_COPY_FAILED = EXIT_COPY_FAILED << 8

# More than a FORK ever brings.
RIGHTS_MAX = 16
# Native libraries start these many threads when they are loaded, by their number of CPUs, and a thread cannot be copied.
ONE_THREAD = ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')

_every_signal = signal.valid_signals()

# Libraries replace these for their own event loops.
_fork = os.fork
_wait = os.waitpid
_set_mask = signal.pthread_sigmask
_set_handler = signal.signal
_handler_of = signal.getsignal
_wait_for_signal = signal.sigtimedwait
_collect = gc.collect
_freeze = gc.freeze


class Control:
    """The zygote's end of the agent's channel, whose frames may bring descriptors."""

    def __init__(self):
        self._socket = socket.socket(fileno=channel.IN)
        self._receive = self._socket.recvmsg
        self._room = socket.CMSG_SPACE(RIGHTS_MAX * 4)

    def receive(self):
        """Kind, flags, copy, body, descriptors. One frame at a time: descriptors belong to the header that they came with."""
        rights = array.array('i')
        header = self._exactly(HEADER.size, rights)
        body_bytes, kind, flags, _, copy, _ = HEADER.unpack(header)
        return kind, flags, copy, self._exactly(body_bytes, rights), rights.tolist()

    def _exactly(self, count, rights):
        data = b''
        while len(data) < count:
            more, ancillary, _, _ = self._receive(count - len(data), self._room, socket.MSG_CMSG_CLOEXEC)
            if not more:
                own.exit_now(0)
            data += more
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    rights.frombytes(content[: len(content) - len(content) % rights.itemsize])
        return data

    def leave(self):
        """In a copy, whose descriptor 3 is another one."""
        self._socket.detach()


class Zygote:
    def __init__(self):
        self._control = Control()
        self._namespace = os.open('/proc/self/ns/pid', os.O_RDONLY | os.O_CLOEXEC)
        # Numbers of the copies that live, by process id.
        self._copies = {}
        self._server = None
        self._child_handler = signal.SIG_DFL
        self._mask = set()
        self._files = []

    def adopt(self):
        kind, _, _, body, _ = self._control.receive()
        if kind != ADOPT:
            own.exit_now(EXIT_UNCAUGHT)
        os.environ.clear()
        os.environ.update(own.parse_json(body.decode())['env'])
        for name in ONE_THREAD:
            os.environ.setdefault(name, '1')
        time.tzset()
        settings = Settings()
        os.chdir(settings.code_folder)
        separate.prepare()
        log.use_kind(LOG)
        log.install()
        before = uncopyable.Baseline()
        loaded = self._load(settings)
        log.flush()
        # What nobody holds any more is closed by now.
        _collect()
        found = uncopyable.reasons(before)
        if found:
            send(UNCOPYABLE, 0, 0, '\n'.join(found).encode('utf-8', 'replace'))
            while True:
                self._control.receive()
        self._files = uncopyable.renewable(before)
        self._server = Server(settings, loaded)
        self._settle()

    def _load(self, settings):
        handler.extend_path(settings.code_folder)
        try:
            return handler.load_handler(settings.handler)
        except SystemExit as error:
            leave(error)
        except BaseException as error:
            described = describe(error)
            log.log_error(described)
            send(INIT_ERROR, 0, 0, own.json_bytes(described))
            own.exit_now(EXIT_UNCAUGHT)

    def _settle(self):
        """Nothing of the function's runs in the zygote from here on: its handlers of signals are for its copies."""
        self._mask = _set_mask(signal.SIG_BLOCK, _every_signal)
        self._child_handler = _handler_of(signal.SIGCHLD)
        _set_handler(signal.SIGCHLD, signal.SIG_DFL)
        # Rehearsed here, what is made once on that path is made for all copies.
        self._server.rehearse()
        separate.settle()
        log.copying = True
        _collect()
        _freeze()
        send(INITIALISED, 0, 0, b'')

    def run(self):
        """Returns in copies alone."""
        while True:
            kind, flags, copy, _, rights = self._control.receive()
            if kind == FORK and self._fork(flags, copy, rights):
                return self._server
            self._reap_ended()
            if kind == REAP:
                self._await_end(copy)

    def _fork(self, flags, copy, rights):
        """True in the copy."""
        process_id = -1
        try:
            kernel.unshare(kernel.CLONE_NEWPID)
            process_id = _fork()
            if process_id == 0:
                self._become_copy(flags, rights)
                return True
        except OSError as error:
            log.write(f'a copy could not be made: {error}\n')
        # Without this the next unshare is refused.
        kernel.setns(self._namespace, kernel.CLONE_NEWPID)
        if process_id > 0:
            self._copies[process_id] = copy
        else:
            self._report(copy, STATUS_COPY_FAILED)
        # The agent sees the end of a copy that never was when nobody holds its descriptors any more.
        for descriptor in rights:
            own.close(descriptor)
        return False

    def _become_copy(self, flags, rights):
        try:
            self._control.leave()
            log.use_kind(channel.LOG)
            log.copying = False
            become_copy(self._server, self._files, flags, rights)
            if self._child_handler not in (signal.SIG_DFL, None):
                _set_handler(signal.SIGCHLD, self._child_handler)
            _set_mask(signal.SIG_SETMASK, self._mask)
        except BaseException as error:
            _say_last(rights[2], f'a copy could not be made: {error}\n'.encode())

    def _await_end(self, copy):
        # A copy leaves its cgroup, which is what the agent sees, a moment before it can be reaped.
        waits = True
        while waits and copy in self._copies.values():
            waits = _wait_for_signal((signal.SIGCHLD,), REAP_WAIT_S) is not None
            self._reap_ended()

    def _reap_ended(self):
        while self._copies:
            try:
                process_id, status = _wait(-1, os.WNOHANG | kernel.WALL)
            except ChildProcessError:
                return
            if process_id == 0:
                return
            copy = self._copies.pop(process_id, None)
            if copy is not None:
                self._report(copy, status)

    def _report(self, copy, status):
        send(EXITED, 0, copy, status.to_bytes(4, 'little'))


def _say_last(output, text):
    try:
        own.write(output, text)
    except OSError:  # it is descriptor 2 by now
        own.write(2, text)
    finally:
        own.exit_now(EXIT_COPY_FAILED)


def main():
    channel.keep_from_children()
    zygote = Zygote()
    send(CELL, 0, 0, b'')
    zygote.adopt()
    zygote.run().run_forever()


if __name__ == '__main__':
    main()
