# The process' end of its channel to the agent: frames in over descriptor 3 and out over 4. The layouts are drawn in
# src/wire/instance-frame.ts and src/wire/zygote-frame.ts, which have the same header; this is their copy in Python.
#
# Reading blocks on purpose. Between invocations an instance sits in read(2): it is frozen, as Lambda freezes it, and one
# system call brings the next invocation.
import os

from . import own

IN = 3
OUT = 4
HEADER = own.Struct('<IBBHII')
INVOKE_FIXED = own.Struct('<d36s')
READ_BYTES = 64 * 1024

# Of an instance.
READY = 16
INIT_ERROR = 17
RESPONSE = 18
ERROR = 19
LOG = 20
BAD_PAYLOAD = 21
MADE = 22
SLEEPING = 23
AWAKE = 24

# In `flags`: the instance ends after this frame.
FLAG_LAST = 1

_pack = HEADER.pack
_unpack_header = HEADER.unpack_from
_unpack_fixed = INVOKE_FIXED.unpack_from
_INVOKE_AT = HEADER.size + INVOKE_FIXED.size


class Invocation:
    __slots__ = ('sequence', 'deadline_ms', 'request_id', 'extra', 'payload')


def _read_frame():
    """The bytes of one frame; None when the agent is gone."""
    data = own.read(IN, READ_BYTES)
    while 0 < len(data) < HEADER.size:
        more = own.read(IN, HEADER.size - len(data))
        if not more:
            return None
        data += more
    if not data:
        return None
    missing = HEADER.size + _unpack_header(data)[0] - len(data)
    if missing <= 0:
        return data
    pieces = [data]
    while missing > 0:
        more = own.read(IN, missing)
        if not more:
            return None
        missing -= len(more)
        pieces.append(more)
    return b''.join(pieces)


def parse(data):
    body_bytes, _, _, extra_bytes, sequence, _ = _unpack_header(data)
    deadline_ms, request_id = _unpack_fixed(data, HEADER.size)
    payload_at = _INVOKE_AT + extra_bytes
    invocation = Invocation()
    invocation.sequence = sequence
    invocation.deadline_ms = deadline_ms
    invocation.request_id = request_id.decode('latin-1')
    extra = data[_INVOKE_AT:payload_at]
    invocation.extra = own.parse_json(extra.decode()) if extra_bytes else {}
    invocation.payload = data[payload_at : HEADER.size + body_bytes].decode('utf-8', 'replace')
    return invocation


def receive():
    """Waits for the next invocation. None when the agent is gone."""
    data = _read_frame()
    return None if data is None else parse(data)


class Sender:
    """Frames of several threads, and of a signal's handler in the middle of one, go out whole and one after the other."""

    def __init__(self):
        self._lock = own.RLock()
        self._sending = False
        self._waiting = []
        # In a rehearsal frames go nowhere; a child that the function forked has no channel.
        self.mute = False
        self.foreign = False

    def send(self, kind, flags, number, body):
        frame = _pack(len(body), kind, flags, 0, number, 0) + body
        if self.mute or self.foreign:
            return
        with self._lock:
            if self._sending:
                self._waiting.append(frame)
                return
            self._sending = True
            try:
                _write_all(frame)
                while self._waiting:
                    _write_all(self._waiting.pop(0))
            finally:
                self._sending = False

    def forked(self):
        """In a child that the function forked: the channel is its parent's alone."""
        if self.foreign:
            return
        self.foreign = True
        self._lock = own.RLock()
        own.close(IN)
        own.close(OUT)


def _write_all(frame):
    count = own.write(OUT, frame)
    if count == len(frame):
        return
    rest = memoryview(frame)[count:]
    while rest:
        rest = rest[own.write(OUT, rest) :]


sender = Sender()
send = sender.send


def keep_from_children():
    """Children get the channel neither by exec nor by fork."""
    os.set_inheritable(IN, False)
    os.set_inheritable(OUT, False)
