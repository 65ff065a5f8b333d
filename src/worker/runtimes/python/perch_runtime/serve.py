# Answers one invocation after the other with the function's handler; what a plain instance and a copy have in common.
import os
import sys

from . import channel, hints, log, own
from .channel import send, sender
from .context import LambdaContext
from .errors import Fault, describe

EXIT_UNCAUGHT = 1

_TRACE = '_X_AMZN_TRACE_ID'


class Server:
    def __init__(self, settings, handler):
        self._settings = settings
        self._handler = handler
        self._trace = None
        # One invocation, then the end.
        self.once = False

    def run_forever(self):
        send(channel.READY, 0, 0, b'')
        while True:
            invocation = channel.receive()
            if invocation is None or sender.foreign:
                own.exit_now(0)
            self._run(invocation)

    def _run(self, invocation):
        log.enter(invocation.request_id, invocation.sequence)
        hints.enter(invocation.sequence)
        try:
            event = own.parse_json(invocation.payload)
        except own.JSONDecodeError as error:
            return self._finish(channel.BAD_PAYLOAD, invocation, str(error).encode())
        except Exception as error:
            return self._fail(invocation, Fault('Runtime.UnmarshalError', f'Unable to unmarshal input: {error}'))
        try:
            self._set_trace(invocation.extra.get('traceId'))
            result = self._handler(event, LambdaContext(invocation, self._settings))
            body = self._marshal(result)
        except SystemExit as error:
            leave(error)
        except Exception as error:
            return self._fail(invocation, error)
        except BaseException as error:
            # KeyboardInterrupt and the like end a Python program, and so this one.
            self._fail(invocation, error, last=True)
            own.exit_now(EXIT_UNCAUGHT)
        self._finish(channel.RESPONSE, invocation, body)

    def _marshal(self, result):
        try:
            body = own.json_bytes(result)
        except Exception as error:
            raise Fault('Runtime.MarshalError', f'Unable to marshal response: {error}') from None
        bytes_max = self._settings.response_bytes_max
        if len(body) > bytes_max:
            message = f'Response payload size exceeded maximum allowed payload size ({bytes_max} bytes).'
            raise Fault('Function.ResponseSizeTooLarge', message)
        return body

    def _set_trace(self, trace):
        """Of this invocation, or none: never that of the last one."""
        if trace == self._trace:
            return
        self._trace = trace
        if trace is None:
            os.environ.pop(_TRACE, None)
        else:
            os.environ[_TRACE] = trace

    def _fail(self, invocation, error, last=False):
        described = describe(error, invocation.request_id)
        log.log_error(described)
        self._finish(channel.ERROR, invocation, own.json_bytes(described), last)

    def _finish(self, kind, invocation, body, last=False):
        hints.leave()
        log.flush()
        once = self.once and not sender.mute
        send(kind, channel.FLAG_LAST if last or once else 0, invocation.sequence, body)
        if once:
            own.exit_now(0)

    def rehearse(self):
        """
        One dummy invocation through the whole path, so that a copy has its own pages of it when its invocation comes.
        It cannot run the function's handler, which has effects.
        """
        handler, self._handler = self._handler, _rehearsal_handler
        sender.mute = True
        try:
            log.rehearse()
            self._run(channel.parse(_REHEARSAL))
        finally:
            sender.mute = False
            self._handler = handler
            log.enter('', 0)


def _rehearsal_handler(event, context):
    return {'event': event, 'left': context.get_remaining_time_in_millis(), 'id': context.aws_request_id}


_REHEARSAL_PAYLOAD = b'{"rehearsal":[1,"2",null,{"deep":true}]}'
_REHEARSAL = (
    channel.HEADER.pack(channel.INVOKE_FIXED.size + len(_REHEARSAL_PAYLOAD), 1, 0, 0, 0, 0)
    + channel.INVOKE_FIXED.pack(0.0, b' ' * 36)
    + _REHEARSAL_PAYLOAD
)


def leave(error):
    """What sys.exit asked for. Threads that still run are not waited for."""
    code = error.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    try:
        import atexit

        atexit._run_exitfuncs()
    finally:
        log.flush()
        own.exit_now((code or 0) & 0xFF)
