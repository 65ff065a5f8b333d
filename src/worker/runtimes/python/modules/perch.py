"""For functions on Perch: say that the function waits, or goes on. Elsewhere the calls do nothing."""

__all__ = ['awake', 'sleeping']

try:
    from perch_runtime import hints as _hints
except ImportError:
    _hints = None


def sleeping(reason=None):
    """
    From here on the function waits, and needs its core no more: others may have it until the function goes on. It is
    believed only as far as it yields: who says so and computes, computes in the background. `reason` is for who reads
    the code; it goes nowhere.

    Counts while an invocation runs, from any thread of the function's process.
    """
    if _hints is not None:
        _hints.sleeping()


def awake():
    """It goes on. Perch sees that by itself too; to say so is sooner."""
    if _hints is not None:
        _hints.awake()
