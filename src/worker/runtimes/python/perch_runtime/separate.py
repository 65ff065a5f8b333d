# What a copy of a Python process would share with every other copy, made its own: random streams above all. The kernel's
# randomness (os.urandom, secrets, uuid4) needs nothing; `random` seeds its own generator anew after a fork.
import random
import sys
import weakref
from os import urandom

_SEED_BYTES = 32

# Generators that were seeded by chance. One that was given its seed keeps its stream, as whoever chose it expects.
_by_chance = weakref.WeakSet()
_original_seed = random.Random.seed


def _seed(self, a=None, version=2):
    _original_seed(self, a, version)
    if a is None:
        _by_chance.add(self)
    else:
        _by_chance.discard(self)


_seed.__name__ = 'seed'
_seed.__qualname__ = _original_seed.__qualname__
_seed.__doc__ = _original_seed.__doc__


def prepare():
    """Before any code of the function runs."""
    random.Random.seed = _seed


def settle():
    """Once the function is initialised, before the first fork."""
    uuid = sys.modules.get('uuid')
    if uuid is not None:
        # Here libuuid tells it; later it would take other programs to find out.
        uuid.getnode()
        # uuid1 through libuuid goes on with the clock sequence of the zygote; Python's own draws one for each call.
        uuid._generate_time_safe = None


def separate():
    for generator in list(_by_chance):
        _original_seed(generator)
    ssl = sys.modules.get('_ssl')
    if ssl is not None:
        ssl.RAND_add(urandom(_SEED_BYTES), float(_SEED_BYTES))
    numpy = sys.modules.get('numpy.random')
    if callable(getattr(numpy, 'seed', None)):
        numpy.seed()
    process = sys.modules.get('multiprocessing.process')
    if process is not None:
        process.current_process().authkey = urandom(_SEED_BYTES)
