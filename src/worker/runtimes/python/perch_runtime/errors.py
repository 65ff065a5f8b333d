# What Lambda's Python runtime answers for an error: {errorMessage, errorType, requestId, stackTrace}.
import importlib
import os

from . import own

# Neither a message nor a trace may make an answer that the agent would refuse.
MESSAGE_LENGTH_MAX = 64 * 1024
TRACE_LINES_MAX = 200

_RUNTIME_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NOT_OF_FUNCTION = (_RUNTIME_FOLDER, os.path.dirname(importlib.__file__) + os.sep, '<frozen importlib')


class Fault(Exception):
    """An error that the runtime finds, with Lambda's name for it."""

    def __init__(self, error_type, message, trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.trace = list(trace)


def _is_of_function(frame):
    return not frame.filename.startswith(_NOT_OF_FUNCTION)


def _trace(error):
    frames = own.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if _is_of_function(frame)), len(frames))
    # Plain tuples: without the marks under the line that newer versions of Python add, as Lambda has it.
    kept = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in frames[first:]]
    return own.format_list(kept[-TRACE_LINES_MAX:])


def describe(error, request_id=''):
    """Of anything that was raised. Never raises: the function made this value."""
    try:
        if isinstance(error, Fault):
            error_type, trace = error.error_type, error.trace
        else:
            error_type, trace = type(error).__name__, _trace(error)
        message = str(error)[:MESSAGE_LENGTH_MAX]
    except BaseException:
        error_type, message, trace = 'Exception', 'the function raised a value that cannot be described', []
    return {'errorMessage': message, 'errorType': str(error_type), 'requestId': request_id, 'stackTrace': trace}


def error_lines(described):
    """As Lambda prints it: one event of many lines, indented by no-break spaces."""
    lines = [f'[ERROR] {described["errorType"]}: {described["errorMessage"]}', 'Traceback (most recent call last):']
    for element in described['stackTrace']:
        for line in element.splitlines():
            text = line.lstrip(' ')
            lines.append('\u00a0' * (len(line) - len(text)) + text)
    return lines
