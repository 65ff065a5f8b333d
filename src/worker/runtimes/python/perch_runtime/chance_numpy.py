# The same as chance.py for numpy's generators, where the function has loaded them: nothing here imports numpy. What hangs on
# a seed that came by chance is found by the collector, once, and seeded anew in place in each copy: seed sequences,
# bit generators, and with them every Generator and RandomState that draws from one.
#
# A seed alone does not say it: a state may have been set since (set_state, Philox(key=…), a generator from a pickle). So
# it is asked too whether the state can have come from the seed: by what a stream never changes (the increment of PCG64,
# the key of Philox), or, for MT19937, by looking for its state among those that follow from the seed.
import gc
import sys
from os import urandom

from .chance import drawn_numbers, took, was_drawn

# How far states of MT19937 are followed: each as far as the second, all of them together by the first. What is not found is
# taken for chosen.
DRAWS_MAX = 20_000_000
NEAR_DRAWS = 60_000
# numpy.random.seed() leaves no trace of its seed but in the state: so many of the latest are tried.
DROPPED_MAX = 64
_ENTROPY_BITS_MIN = 64

_MT_WORDS = 624
_MT_BLOCKS = 256

_objects = gc.get_objects
_unfreeze = gc.unfreeze


class _Search:
    def __init__(self, numpy):
        self._numpy = numpy
        # Neither `isinstance` nor an attribute: proxies answer both as what they stand for.
        found = _objects()
        self._sequences = [each for each in found if issubclass(type(each), numpy.SeedSequence)]
        self._generators = [each for each in found if issubclass(type(each), numpy.BitGenerator)]
        self._states = [each for each in found if issubclass(type(each), numpy.RandomState)]
        self.sequences = [each for each in self._sequences if was_drawn(each.entropy)]
        self._by_chance = {id(each) for each in self.sequences}
        claimed = {_number(each.entropy) for each in self.sequences}
        numbers = [each for each in drawn_numbers(_ENTROPY_BITS_MIN, DROPPED_MAX) if each not in claimed]
        self._dropped = [numpy.SeedSequence(each) for each in numbers]
        self._draws_left = DRAWS_MAX
        self._marks = {}

    def generators(self):
        return [each for each in self._generators if _is_whole(each) and self._is_by_chance(each)]

    def states(self, generators):
        """Those that may keep half of a pair of normal numbers."""
        chosen = {id(each) for each in generators}
        return [each for each in self._states if id(each._bit_generator) in chosen]

    def _is_by_chance(self, generator):
        sequence = getattr(generator, '_seed_seq', None)
        if sequence is None:
            return self._is_seeded_anew(generator)
        if id(sequence) not in self._by_chance:
            return False
        state = generator.state['state']
        if not isinstance(state, dict):
            return True
        if 'inc' in state or 'counter' in state:
            return _mark(state) in self._marks_of(type(generator))
        if 'pos' not in state:
            return True
        is_found, draws = _leads_to(type(generator)(sequence), state['key'], max(self._draws_left, NEAR_DRAWS))
        self._draws_left -= draws
        return is_found

    def _marks_of(self, kind):
        # Of all seeds: one that was jumped ahead has the increment of another, which may be gone.
        if kind not in self._marks:
            seeds = [*self.sequences, *self._dropped]
            self._marks[kind] = {_mark(kind(each).state['state']) for each in seeds}
        return self._marks[kind]

    def _is_seeded_anew(self, generator):
        kind = self._numpy.MT19937
        if type(generator) is not kind:
            return False
        key = generator.state['state']['key']
        return any(_leads_to(kind(each), key, NEAR_DRAWS)[0] for each in self._dropped)


def _number(entropy):
    return entropy if isinstance(entropy, int) else None


def _is_whole(generator):
    """Made by another library, it may not be seeded as numpy's are."""
    try:
        type(generator)().state['state']
        return True
    except Exception:
        return False


def _mark(state):
    return int(state['inc']) if 'inc' in state else tuple(int(word) for word in state['key'])


def _temper(word):
    word ^= word >> 11
    word ^= (word << 7) & 0x9D2C5680
    word ^= (word << 15) & 0xEFC60000
    return word ^ (word >> 18)


def _leads_to(generator, key, draws_max):
    """Whether MT19937 comes to this key, and how many draws that took to see. Its output is its key, word by word."""
    state = generator.state['state']
    if (state['key'][1:] == key[1:]).all():
        return True, 0
    generator.random_raw(_MT_WORDS - state['pos'], output=False)
    wanted = [_temper(int(key[index])) for index in range(3)]
    draws = 0
    while draws < draws_max:
        block = generator.random_raw(_MT_WORDS * _MT_BLOCKS).reshape(_MT_BLOCKS, _MT_WORDS)
        draws += block.size
        if (block[:, :3] == wanted).all(axis=1).any():
            return True, draws
    return False, draws


_sequences = []
_generators = []
_states = []


def settle():
    """Once the function is initialised, before the first fork and before chance.py forgets what was drawn."""
    numpy = sys.modules.get('numpy.random')
    if numpy is None:
        return
    try:
        _unfreeze()
        search = _Search(numpy)
        generators = search.generators()
        _states.extend(search.states(generators))
        _generators.extend(generators)
        _sequences.extend(search.sequences)
        for each in search.sequences:
            took(each.entropy)
        # Now rather than in a copy, should it fail.
        separate()
    except Exception as error:
        return f'the generators of numpy could not be seeded anew in copies: {type(error).__name__}: {error}'
    return None


def separate():
    """In a copy."""
    for each in _sequences:
        entropy = int.from_bytes(urandom(4 * each.pool_size), 'little')
        each.__init__(
            entropy,
            spawn_key=each.spawn_key,
            pool_size=each.pool_size,
            n_children_spawned=each.n_children_spawned,
        )
    for each in _generators:
        each.state = type(each)(each._seed_seq).state
    for each in _states:
        state = each.get_state(legacy=False)
        state.update(has_gauss=0, gauss=0.0)
        each.set_state(state)
