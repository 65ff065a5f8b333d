# What a copy of a Python process would share with every other copy, made its own: random streams above all (chance.py). The
# kernel's randomness (os.urandom, secrets, uuid4) needs nothing.
import sys
from os import urandom

from . import chance

_SEED_BYTES = 32


def prepare():
    """Before any code of the function runs."""
    chance.prepare()


def settle():
    """Once the function is initialised, before the first fork."""
    chance.settle()
    uuid = sys.modules.get('uuid')
    if uuid is not None:
        # Here libuuid tells it; later it would take other programs to find out.
        uuid.getnode()
        # uuid1 through libuuid goes on with the clock sequence of the zygote; Python's own draws one for each call.
        uuid._generate_time_safe = None


def separate():
    chance.separate()
    ssl = sys.modules.get('_ssl')
    if ssl is not None:
        ssl.RAND_add(urandom(_SEED_BYTES), float(_SEED_BYTES))
    numpy = sys.modules.get('numpy.random')
    if callable(getattr(numpy, 'seed', None)):
        numpy.seed()
    process = sys.modules.get('multiprocessing.process')
    if process is not None:
        process.current_process().authkey = urandom(_SEED_BYTES)
