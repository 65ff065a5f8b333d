# What the module `perch` says, as frames on the channel: of the invocation that runs; outside of one there is nothing to yield.
from . import channel
from .channel import send


class _State:
    # Of the invocation that runs; 0: none does.
    sequence = 0


_state = _State()


def enter(sequence):
    _state.sequence = sequence


def leave():
    _state.sequence = 0


def _say(kind):
    sequence = _state.sequence
    if sequence != 0:
        send(kind, 0, sequence, b'')


def sleeping():
    _say(channel.SLEEPING)


def awake():
    _say(channel.AWAKE)
