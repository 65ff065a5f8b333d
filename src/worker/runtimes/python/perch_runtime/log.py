# sys.stdout, sys.stderr and logging as frames on the channel: in order with the answer of the invocation, so that nothing
# a handler logged is missing when its answer arrives. What native code or a child process writes to descriptors 1 and 2
# goes through pipes, and may come later.
import io
import logging
import os
import sys
import time
import traceback

from . import own
from .channel import sender
from .errors import error_lines

# A frame of log stays well below what the agent accepts.
PIECE_BYTES = 60_000
TIME_FORMAT = '%Y-%m-%dT%H:%M:%S'

_RESERVED = frozenset(
    'name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created msecs '
    'relativeCreated thread threadName processName process taskName aws_request_id tenant_id'.split()
)


class _State:
    # The kind of a frame of log: that of an instance, or of a zygote.
    kind = 20
    sequence = 0
    request_id = ''
    json = False


_state = _State()


def _send_pieces(data):
    at = 0
    while len(data) - at > PIECE_BYTES:
        end = at + PIECE_BYTES
        # A character of several bytes stays in one piece.
        while end > at + PIECE_BYTES - 4 and data[end] & 0xC0 == 0x80:
            end -= 1
        sender.send(_state.kind, 0, _state.sequence, data[at:end])
        at = end
    if at < len(data):
        sender.send(_state.kind, 0, _state.sequence, data[at:] if at else data)


class _Descriptor(io.RawIOBase):
    """Descriptor 1 or 2, whose bytes take the way of the channel, but for a child that the function forked."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def writable(self):
        return True

    def fileno(self):
        return self._descriptor

    def write(self, data):
        taken = bytes(data)
        if sender.foreign:
            return own.write(self._descriptor, taken)
        _send_pieces(taken)
        return len(taken)

    def close(self):
        # The runtime itself still logs when the function has closed its streams.
        pass


def _stream(descriptor):
    return io.TextIOWrapper(_Descriptor(descriptor), 'utf-8', 'backslashreplace', line_buffering=True)


_streams = (_stream(1), _stream(2))
_flushes = tuple(stream.flush for stream in _streams)


def flush():
    """Lines without their end, so far."""
    for each in _flushes:
        try:
            each()
        except ValueError:  # closed by the function
            pass


def write(text):
    flush()
    data = text.encode('utf-8', 'backslashreplace')
    if sender.foreign:
        own.write(1, data)
    else:
        _send_pieces(data)


class _Handler(logging.Handler):
    def emit(self, record):
        try:
            text = self.format(record)
            write(text if text.endswith('\n') else text + '\n')
        except Exception:
            self.handleError(record)


class _Filter(logging.Filter):
    # A filter, so that formats of the function's own can use it.
    def filter(self, record):
        record.aws_request_id = _state.request_id
        return True


class _JsonFormatter(logging.Formatter):
    def formatTime(self, record, datefmt=None):
        return f'{own.strftime(TIME_FORMAT, own.gmtime(record.created))}.{int(record.msecs):03d}Z'

    def format(self, record):
        entry = {
            'timestamp': self.formatTime(record),
            'level': record.levelname,
            'message': record.getMessage(),
            'logger': record.name,
            'requestId': getattr(record, 'aws_request_id', None) or None,
        }
        if record.exc_info and record.exc_info[0] is not None:
            error_type, error, trace = record.exc_info
            entry['stackTrace'] = traceback.format_tb(trace)
            entry['errorType'] = error_type.__name__
            entry['errorMessage'] = str(error)
            entry['location'] = f'{record.pathname}:{record.funcName}:{record.lineno}'
        extra = {name: value for name, value in record.__dict__.items() if name not in _RESERVED}
        kept = {name: value for name, value in {**extra, **entry}.items() if value is not None}
        try:
            return own.json_bytes(kept).decode()
        except (TypeError, ValueError):
            return own.json_bytes({name: str(value) for name, value in kept.items()}).decode()


class _TextFormatter(logging.Formatter):
    converter = time.gmtime

    def __init__(self):
        super().__init__('[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s', TIME_FORMAT)


_formatter = None


def install():
    """Once the environment is the function's."""
    global _formatter
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = _streams
    os.register_at_fork(after_in_child=_forked)
    _state.json = os.environ.get('AWS_LAMBDA_LOG_FORMAT', '').upper() == 'JSON'
    level = os.environ.get('AWS_LAMBDA_LOG_LEVEL', 'INFO' if _state.json else '').upper()
    _formatter = _JsonFormatter() if _state.json else _TextFormatter()
    logging.Formatter.converter = time.gmtime
    handler = _Handler()
    handler.setFormatter(_formatter)
    handler.addFilter(_Filter())
    root = logging.getLogger()
    root.addHandler(handler)
    level = {'TRACE': 'DEBUG', 'FATAL': 'CRITICAL'}.get(level, level)
    if level in ('DEBUG', 'INFO', 'WARNING', 'WARN', 'ERROR', 'CRITICAL'):
        root.setLevel(level)


copying = False


def _forked():
    if not copying:
        sender.forked()


def use_kind(kind):
    _state.kind = kind


def enter(request_id, sequence):
    """From now on lines belong to this invocation."""
    _state.request_id = request_id
    _state.sequence = sequence


def log_error(described):
    if _state.json:
        timestamp = own.strftime(TIME_FORMAT + 'Z', own.gmtime())
        write(own.json_bytes({'timestamp': timestamp, 'level': 'ERROR', **described}).decode() + '\n')
    else:
        write('\r'.join(error_lines(described)) + '\n')


def warn(message):
    """Of the runtime's own, to the function's owner."""
    if _state.json:
        timestamp = own.strftime(TIME_FORMAT + 'Z', own.gmtime())
        write(own.json_bytes({'timestamp': timestamp, 'level': 'WARN', 'message': message}).decode() + '\n')
    else:
        write(f'[WARN] {message}\n')


def rehearse():
    try:
        record = logging.LogRecord('root', logging.INFO, __file__, 1, 'rehearsal %d', (1,), None)
        record.aws_request_id = ''
        write(_formatter.format(record) + '\n')
    except Exception:  # what the function has made of logging
        pass
