# Which random state of the function's initialisation came by chance, and is made anew in each copy, and which was chosen
# (random.seed(42), a state that was restored), and stays as it is: as in instances that initialise by themselves.
#
# What the kernel's randomness gave is remembered until the zygote has settled, so that a seed that is one of these values
# counts as chance too: numpy draws its seeds so, and random.seed(os.urandom(8)) is no choice. So does a seed that is the
# time: instances that start by themselves would differ by it.
import os
import random
import sys
import weakref

from . import own

PLACES_MAX = 64
# Beyond these, values and states are not remembered. Then numbers that nobody writes count as chance, and states as chosen.
DRAWN_MAX = 16_384
STATES_MAX = 256
# A shorter one could be equal to a number that somebody chose; a longer one is nobody's seed but as it is, and is kept by its hash.
_BYTES_MIN = 4
_BYTES_MAX = 256
_CERTAIN_BITS = 65
_CLOCK_SCALES = (1, 1_000, 1_000_000, 1_000_000_000)
_CLOCK_SLACK_S = 1

# What they draw at their import, copies draw anew: see separate.py and chance_numpy.py.
_MADE_ANEW = ('multiprocessing', 'numpy')
_NUMPY_SEEDS = 'numpy.random.bit_generator'
_CODE = '/var/task/'
_OF_PYTHON = (os.path.dirname(os.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep, '<frozen ')

_frame_at = sys._getframe
_Random = random.Random
_methods = {name: getattr(_Random, name) for name in ('seed', 'getstate', 'setstate')}
_original_seed = _methods['seed']
_original_urandom = os.urandom
# What `random.random` and the like draw from. After each fork `random` itself seeds it anew.
_shared = random._inst

# By id, since a class of generators may have forbidden hashing.
_by_chance = weakref.WeakValueDictionary()
_states = set()
# Each number, in the order in which they came, and its draw: the place in a list, which is empty once it became the seed
# of a generator that copies seed anew.
_drawn = {}
# Places of draws that are too short, or too many, to be told from each other.
_other_places = set()
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


def _number(value):
    if not isinstance(value, (bytes, bytearray)):
        return value
    return int.from_bytes(value, 'big') if len(value) <= _BYTES_MAX else hash(bytes(value))


def was_drawn(value):
    """Whether the kernel's randomness gave this value, as bytes or as a number."""
    value = _number(value)
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


def _place():
    """Of the line that draws, in the function's code or in one of its packages: `index.py line 3`."""
    frame = _frame_at(3)
    while frame is not None:
        if str(frame.f_globals.get('__name__')).split('.')[0] in _MADE_ANEW:
            return ''
        file = frame.f_code.co_filename
        if '-packages/' in file or not file.startswith(_OF_PYTHON):
            shown = file[len(_CODE) :] if file.startswith(_CODE) else file
            return f'{shown} line {frame.f_lineno}'
        frame = frame.f_back
    return ''


class _NumpyBits:
    """In place of the function that numpy draws its seeds with, compiled code that has no line: RandomState(7) draws one too."""

    def __init__(self, original):
        self.original = original
        self.runs = False

    def __call__(self, k):
        self.runs = True
        try:
            return self.original(k)
        finally:
            self.runs = False


def _numpy_draws():
    """Puts it there when numpy draws for the first time, which it does at its import."""
    module = sys.modules.get(_NUMPY_SEEDS)
    bits = getattr(module, 'randbits', None)
    if bits is not None and type(bits) is not _NumpyBits:
        module.randbits = bits = _NumpyBits(bits)
    return bits is not None and bits.runs


def _remember(data):
    place = '' if _numpy_draws() else _place()
    if len(data) < _BYTES_MIN or len(_drawn) >= DRAWN_MAX:
        if len(_other_places) < PLACES_MAX:
            _other_places.add(place)
        return
    # What `secrets` makes a number of, it reads from the left; others do as they like.
    draw = [place]
    _drawn[_number(data)] = draw
    if len(data) <= _BYTES_MAX:
        _drawn[int.from_bytes(data, 'little')] = draw


def took(number):
    """It is the seed of a generator that copies seed anew."""
    if number in _drawn:
        _drawn[number].clear()


def places():
    """Where initialisation drew what it may have kept."""
    return sorted((_other_places | {place for draw in _drawn.values() for place in draw}) - {''})


def _mark(generator, is_chance):
    if is_chance:
        _by_chance[id(generator)] = generator
    else:
        _by_chance.pop(id(generator), None)


def _seed(self, a=None, version=2):
    _original_seed(self, a, version)
    drawn = a is not None and was_drawn(a)
    if drawn:
        took(_number(a))
    _mark(self, drawn or a is None or _is_clock(a))


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
        if _remembers:
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
    bits = getattr(sys.modules.get(_NUMPY_SEEDS), 'randbits', None)
    if type(bits) is _NumpyBits:
        sys.modules[_NUMPY_SEEDS].randbits = bits.original
    _anew.extend(_by_chance.values())
    if id(_shared) not in _by_chance:
        _chosen_state = _methods['getstate'](_shared)
    _drawn.clear()
    _states.clear()
    _other_places.clear()


def separate():
    """In a copy."""
    for generator in _anew:
        _original_seed(generator)
    if _chosen_state is not None:
        _methods['setstate'](_shared, _chosen_state)
