# Which random state of the function's initialisation came by chance, and is made anew in each copy, and which was chosen
# (random.seed(42), a state that was restored), and stays as it is: as in instances that initialise by themselves.
#
# What the kernel's randomness gave is remembered until the zygote has settled, so that a seed that is one of these values
# counts as chance too: numpy draws its seeds so, and random.seed(os.urandom(8)) is no choice. So does a seed that is the
# time: instances that start by themselves would differ by it.
import os
import random
import weakref

from . import own

# Beyond these, values and states are not remembered. Then numbers that nobody writes count as chance, and states as chosen.
DRAWN_MAX = 16_384
STATES_MAX = 256
# A shorter one could be equal to a number that somebody chose.
_BYTES_MIN = 4
_CERTAIN_BITS = 65
_CLOCK_SCALES = (1, 1_000, 1_000_000, 1_000_000_000)
_CLOCK_SLACK_S = 1

_Random = random.Random
_methods = {name: getattr(_Random, name) for name in ('seed', 'getstate', 'setstate')}
_original_seed = _methods['seed']
_original_urandom = os.urandom
# What `random.random` and the like draw from. After each fork `random` itself seeds it anew.
_shared = random._inst

# By id, since a class of generators may have forbidden hashing.
_by_chance = weakref.WeakValueDictionary()
_states = set()
# The numbers, in the order in which they came.
_drawn = {}
_remembers = False
_started_s = 0.0
_chosen_state = None
# Generators to be seeded anew in copies.
_anew = []


def _is_clock(value):
    if not isinstance(value, (int, float)):
        return False
    first, last = _started_s - _CLOCK_SLACK_S, own.clock() + _CLOCK_SLACK_S
    return any(first * scale <= value <= last * scale for scale in _CLOCK_SCALES)


def was_drawn(value):
    """Whether the kernel's randomness gave this value, as bytes or as a number."""
    if isinstance(value, (bytes, bytearray)):
        value = int.from_bytes(value, 'big')
    if not isinstance(value, int):
        return False
    return value in _drawn or (len(_drawn) >= DRAWN_MAX and value.bit_length() >= _CERTAIN_BITS)


def drawn_numbers(bits_min, count_max):
    """The latest of at least that size."""
    found = []
    for number in reversed(_drawn):
        if number.bit_length() >= bits_min:
            found.append(number)
            if len(found) == count_max:
                break
    return found


def _remember(data):
    # What `secrets` makes a number of, it reads from the left; others do as they like.
    if _remembers and len(data) >= _BYTES_MIN and len(_drawn) < DRAWN_MAX:
        _drawn[int.from_bytes(data, 'big')] = _drawn[int.from_bytes(data, 'little')] = True


def _mark(generator, is_chance):
    if is_chance:
        _by_chance[id(generator)] = generator
    else:
        _by_chance.pop(id(generator), None)


def _seed(self, a=None, version=2):
    _original_seed(self, a, version)
    _mark(self, a is None or _is_clock(a) or was_drawn(a))


def _getstate(self):
    state = _methods['getstate'](self)
    if id(self) in _by_chance and len(_states) < STATES_MAX:
        _states.add(hash(state))
    return state


def _setstate(self, state):
    _methods['setstate'](self, state)
    _mark(self, hash(_methods['getstate'](self)) in _states)


class _Urandom:
    """No function, which would become a method where a class has it for an attribute; os.urandom does not."""

    __name__ = __qualname__ = 'urandom'
    __module__ = 'posix'
    __doc__ = _original_urandom.__doc__

    def __call__(self, size, /):
        data = _original_urandom(size)
        _remember(data)
        return data


_urandom = _Urandom()
_replacements = {'seed': _seed, 'getstate': _getstate, 'setstate': _setstate}
for _name, _method in _replacements.items():
    _method.__name__ = _name
    _method.__qualname__ = _methods[_name].__qualname__
    _method.__doc__ = _methods[_name].__doc__


def prepare():
    """Before any code of the function runs."""
    global _remembers, _started_s
    _remembers, _started_s = True, own.clock()
    _mark(_shared, True)
    for name, method in _replacements.items():
        setattr(_Random, name, method)
        setattr(random, name, getattr(_shared, name))
    os.urandom = random._urandom = _urandom


def settle():
    """Once the function is initialised, before the first fork: from here on nothing is remembered."""
    global _chosen_state, _remembers
    _remembers = False
    for name, method in _replacements.items():
        if getattr(_Random, name) is method:
            setattr(_Random, name, _methods[name])
        if getattr(getattr(random, name, None), '__func__', None) is method:
            setattr(random, name, getattr(_shared, name))
    for module, name in ((os, 'urandom'), (random, '_urandom')):
        if getattr(module, name) is _urandom:
            setattr(module, name, _original_urandom)
    _anew.extend(_by_chance.values())
    if id(_shared) not in _by_chance:
        _chosen_state = _methods['getstate'](_shared)
    _drawn.clear()
    _states.clear()


def separate():
    """In a copy."""
    for generator in _anew:
        _original_seed(generator)
    if _chosen_state is not None:
        _methods['setstate'](_shared, _chosen_state)
