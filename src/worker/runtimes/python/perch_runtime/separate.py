# What a copy of a Python process would share with every other copy, made its own: random streams above all (chance.py, chance_numpy.py). The
# kernel's randomness (os.urandom, secrets, uuid4) needs nothing.
import sys
from os import urandom

from . import chance, chance_numpy, log

_SEED_BYTES = 32
_PLACES_SHOWN_MAX = 3
_SAME = 'what it made of them is the same in all instances copied from it'


def prepare():
    """Before any code of the function runs."""
    chance.prepare()


def settle():
    """Once the function is initialised, before the first fork."""
    failed = chance_numpy.settle()
    if failed:
        log.warn(failed)
    places = chance.places()
    if places:
        more = ', …' if len(places) > _PLACES_SHOWN_MAX else ''
        shown = ', '.join(places[:_PLACES_SHOWN_MAX])
        log.warn(f'initialisation drew from os.urandom, secrets or uuid4 ({shown}{more}): {_SAME}')
    chance.settle()
    uuid = sys.modules.get('uuid')
    if uuid is not None:
        # Here libuuid tells it; later it would take other programs to find out.
        uuid.getnode()
        # uuid1 through libuuid goes on with the clock sequence of the zygote; Python's own draws one for each call.
        uuid._generate_time_safe = None


def separate():
    chance.separate()
    chance_numpy.separate()
    ssl = sys.modules.get('_ssl')
    if ssl is not None:
        ssl.RAND_add(urandom(_SEED_BYTES), float(_SEED_BYTES))
    process = sys.modules.get('multiprocessing.process')
    if process is not None:
        process.current_process().authkey = urandom(_SEED_BYTES)
