# Finds what a copy of an initialised function could not have for itself: open descriptors, threads, other processes,
# alarms, shared memory, files in /tmp. The reasons are read by the function's owner. It looks from within, so it finds what
# was left by chance; a function that hides something on purpose hides it from its own copies alone.
import fcntl
import gc
import signal
import stat
import sys
import threading
from os import O_ACCMODE, O_RDONLY, SEEK_CUR, fstat, getcwd, getpid, listdir, lseek, major, minor, readlink
from os import stat as stat_path
from time import monotonic, sleep

NAMES_MAX = 5
# In place of a position: a device, which has none.
DEVICE = -1
# What ends by itself gets a moment: threads, children, alarms. One that has been joined may take longer to be gone.
GRACE_S = 0.05
JOINED_GRACE_S = 0.1
STEP_S = 0.002

_IMMUTABLE = ('/var/task/', '/var/lang/', '/var/runtime/', '/opt/', '/usr/', '/lib', '/nix/store/')
_TIMERS = (('ITIMER_REAL', 'signal.alarm or ITIMER_REAL'), ('ITIMER_VIRTUAL', 'ITIMER_VIRTUAL'), ('ITIMER_PROF', 'ITIMER_PROF'))
_SOCKET_TABLES = ('tcp', 'tcp6', 'udp', 'udp6', 'unix')
_TCP_LISTENS = '0A'
_UNIX_LISTENS = 0x10000


def _read(path):
    try:
        with open(path, encoding='utf-8', errors='replace') as file:
            return file.read()
    except OSError:
        return ''


def _descriptors():
    found = {}
    for name in listdir('/proc/self/fd'):
        try:
            found[int(name)] = readlink(f'/proc/self/fd/{name}')
        except OSError:  # the one that the folder was read through
            pass
    return found


def _threads():
    try:
        return {int(name): _read(f'/proc/self/task/{name}/comm').strip() for name in listdir('/proc/self/task')}
    except OSError:
        return {}


def _processes():
    own_id = getpid()
    found = {}
    for name in listdir('/proc'):
        if not name.isdigit() or int(name) == own_id:
            continue
        # number (name) state …; one that has ended and waits to be reaped does no harm.
        command, _, rest = _read(f'/proc/{name}/stat').partition('(')[2].rpartition(')')
        if rest.strip()[:1] not in ('', 'Z', 'X'):
            found[int(name)] = command
    return found


def _shared_mappings():
    """Range, rights and name of each; memory that nobody can write is not shared with anybody."""
    found = {}
    for line in _read('/proc/self/maps').splitlines():
        span, rights, _, _, _, *name = line.split(None, 5)
        path = name[0] if name else ''
        if rights[3] == 's' and ('w' in rights or not path.startswith(_IMMUTABLE)):
            found[span] = path
    return found


_objects = gc.get_objects
_collect = gc.collect
_get_flags = fcntl.fcntl
_get_timer = signal.getitimer


class Baseline:
    """What is there before the function is."""

    def __init__(self):
        self.descriptors = _descriptors()
        self.threads = _threads()
        self.processes = _processes()
        self.mappings = _shared_mappings()


# /dev/null, zero, full, random and urandom: nothing of what a process does with them is seen by another.
_MEMORY_DEVICES = 1
_STATELESS = {3, 5, 7, 8, 9}


def _is_stateless(number):
    status = fstat(number)
    return stat.S_ISCHR(status.st_mode) and major(status.st_rdev) == _MEMORY_DEVICES and minor(status.st_rdev) in _STATELESS


def _is_renewable(number, path):
    """A file that nobody can change, open for reading: a copy opens it anew, for a position of its own."""
    if not path.startswith(_IMMUTABLE) or _get_flags(number, fcntl.F_GETFL) & O_ACCMODE != O_RDONLY:
        return False
    status = fstat(number)
    try:
        now = stat_path(path)
    except OSError:  # removed
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == (now.st_dev, now.st_ino)


def renewable(before):
    """Of the new descriptors: number, path and position, or DEVICE for that."""
    return sorted(
        (number, target, DEVICE) if _is_stateless(number) else (number, target, lseek(number, 0, SEEK_CUR))
        for number, target in _descriptors().items()
        if before.descriptors.get(number) != target
    )


def _socket_words(target):
    number = target[len('socket:[') : -1]
    for table in _SOCKET_TABLES:
        for line in _read(f'/proc/self/net/{table}').splitlines()[1:]:
            fields = line.split()
            if table == 'unix' and len(fields) > 6 and fields[6] == number:
                return 'a listening Unix socket' if int(fields[3], 16) & _UNIX_LISTENS else 'an open Unix socket'
            if table != 'unix' and len(fields) > 9 and fields[9] == number:
                if table.startswith('udp'):
                    return 'an open UDP socket'
                return 'a listening TCP socket' if fields[3] == _TCP_LISTENS else 'an open TCP connection'
    return 'an open socket'


def _words(target):
    kinds = (
        ('pipe:', 'an open pipe'),
        ('anon_inode:[eventpoll]', 'an event loop or selector (epoll)'),
        ('anon_inode:[eventfd]', 'an eventfd'),
        ('anon_inode:[timerfd]', 'a timer (timerfd)'),
        ('anon_inode:[signalfd]', 'a signalfd'),
        ('anon_inode:inotify', 'a file watcher (inotify)'),
        ('anon_inode:[pidfd]', 'a handle of a process (pidfd)'),
        ('/memfd:', 'shared memory (memfd)'),
    )
    for start, words in kinds:
        if target.startswith(start):
            return words
    return _socket_words(target) if target.startswith('socket:') else f'an open file: {target}'


def _numbers_of_loop(loop):
    """The descriptors that an event loop of asyncio has for itself."""
    try:
        return {each.fileno() for each in (loop._selector, loop._ssock, loop._csock)}
    except Exception:  # closed, or of another library
        return set()


def _loops():
    module = sys.modules.get('asyncio.selector_events')
    kind = getattr(module, 'BaseSelectorEventLoop', None)
    if kind is None:
        return []
    found = (_numbers_of_loop(each) for each in _objects() if issubclass(type(each), kind))
    return [numbers for numbers in found if numbers]


def _describe_descriptors(found):
    """One line for what is of one kind, and one for what an event loop has."""
    numbers_of = {}
    for numbers in _loops():
        if numbers <= found.keys():
            numbers_of.setdefault('an event loop of asyncio', []).extend(sorted(numbers))
            found = {number: target for number, target in found.items() if number not in numbers}
    for number, target in sorted(found.items()):
        numbers_of.setdefault(_words(target), []).append(number)
    for words, numbers in numbers_of.items():
        shown = ', '.join(str(number) for number in numbers[:NAMES_MAX])
        more = ', …' if len(numbers) > NAMES_MAX else ''
        yield f'{words} (descriptor{"s" if len(numbers) > 1 else ""} {shown}{more})'


def _new_threads(before):
    return {number: name for number, name in _threads().items() if number not in before.threads}


def _new_processes(before):
    return [name for number, name in _processes().items() if number not in before.processes]


def _wait(before):
    """For what may pass; True if there was something to wait for. Nothing else changes while no code of the function's runs."""
    start = monotonic()
    waited = False
    while True:
        threads = _new_threads(before)
        if not threads and not _new_processes(before) and not any(_timers()):
            return waited
        # Python knows no more of one that has been joined, and never did of a library's own.
        lives = any(thread.native_id in threads for thread in threading.enumerate())
        if monotonic() - start >= (JOINED_GRACE_S if threads and not lives else GRACE_S):
            return waited
        waited = True
        sleep(STEP_S)


def _names_of_threads(found):
    """Those that Python gave them, where it did."""
    named = {thread.native_id: thread.name for thread in threading.enumerate()}
    return [named.get(number, name) for number, name in found.items()]


def _names(values):
    shown = ', '.join(sorted(values)[:NAMES_MAX])
    return shown + (', …' if len(values) > NAMES_MAX else '')


def _timers():
    for name, words in _TIMERS:
        if _get_timer(getattr(signal, name))[0] > 0:
            yield f'an alarm that is set ({words})'
    if _read('/proc/self/timers') != '':
        yield 'a timer that is set (timer_create)'


def _places():
    left = listdir('/tmp')
    if left:
        yield f'files left in /tmp: {_names(left)}'
    try:
        folder = getcwd()
    except OSError:
        folder = ''
    if not (folder + '/').startswith(_IMMUTABLE) and folder != '/':
        yield f'a working folder that is not its own: {folder or "one that was removed"}'


def reasons(before):
    """Why the function cannot be copied; empty if it can."""
    if _wait(before):
        _collect()
    opened = {
        number: target
        for number, target in _descriptors().items()
        if before.descriptors.get(number) != target and not _is_stateless(number) and not _is_renewable(number, target)
    }
    found = list(_describe_descriptors(opened))
    found += [f'a descriptor of the platform that was closed ({number})' for number in range(5) if not _is_open(number)]
    threads = _new_threads(before)
    if threads:
        found.append(f'running threads: {_names(_names_of_threads(threads))}')
    processes = _new_processes(before)
    if processes:
        found.append(f'other processes: {_names(processes)}')
    mapped = {path or 'without a name' for span, path in _shared_mappings().items() if span not in before.mappings}
    if mapped:
        found.append(f'shared memory: {_names(mapped)}')
    found += _timers()
    found += _places()
    return [' '.join(reason.split()) for reason in found]


def _is_open(number):
    try:
        fstat(number)
        return True
    except OSError:
        return False
