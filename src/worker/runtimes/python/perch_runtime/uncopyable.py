# Finds what a copy of an initialised function could not have for itself: open descriptors, threads, other processes,
# alarms, shared memory, files in /tmp. The reasons are read by the function's owner. It looks from within, so it finds what
# was left by chance; a function that hides something on purpose hides it from its own copies alone.
import fcntl
import signal
import stat
import threading
from os import O_ACCMODE, O_RDONLY, SEEK_CUR, fstat, getcwd, getpid, listdir, lseek, major, minor, readlink
from os import stat as stat_path
from time import monotonic, sleep

NAMES_MAX = 5
# In place of a position: a device, which has none.
DEVICE = -1
# A thread that has been joined may take a moment to be gone.
GRACE_S = 0.1
STEP_S = 0.002

_IMMUTABLE = ('/var/task/', '/var/lang/', '/var/runtime/', '/opt/', '/usr/', '/lib', '/nix/store/')
_TIMERS = (('ITIMER_REAL', 'signal.alarm or ITIMER_REAL'), ('ITIMER_VIRTUAL', 'ITIMER_VIRTUAL'), ('ITIMER_PROF', 'ITIMER_PROF'))
_SOCKET_TABLES = ('tcp', 'tcp6', 'udp', 'udp6', 'unix')


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


def _socket_kind(target):
    number = target[len('socket:[') : -1]
    for table in _SOCKET_TABLES:
        for line in _read(f'/proc/self/net/{table}').splitlines()[1:]:
            fields = line.split()
            if table == 'unix' and len(fields) > 6 and fields[6] == number:
                return 'Unix socket'
            if table != 'unix' and len(fields) > 9 and fields[9] == number:
                return 'TCP connection' if table.startswith('tcp') else 'UDP socket'
    return 'socket'


def _describe_descriptor(number, target):
    kinds = (
        ('pipe:', 'an open pipe'),
        ('anon_inode:[eventpoll]', 'an event loop or selector (epoll), such as that of asyncio'),
        ('anon_inode:[eventfd]', 'an eventfd'),
        ('anon_inode:[timerfd]', 'a timer (timerfd)'),
        ('anon_inode:[signalfd]', 'a signalfd'),
        ('anon_inode:inotify', 'a file watcher (inotify)'),
        ('anon_inode:[pidfd]', 'a handle of a process (pidfd)'),
        ('/memfd:', 'shared memory (memfd)'),
    )
    for start, words in kinds:
        if target.startswith(start):
            return f'{words} (descriptor {number})'
    if target.startswith('socket:'):
        return f'an open {_socket_kind(target)} (descriptor {number})'
    return f'an open file: {target} (descriptor {number})'


def _new_threads(before):
    """By the names that Python gave them, where it did."""
    deadline = monotonic() + GRACE_S
    while True:
        found = {number: name for number, name in _threads().items() if number not in before.threads}
        if not found or monotonic() >= deadline:
            break
        sleep(STEP_S)
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
    found = [
        _describe_descriptor(number, target)
        for number, target in _descriptors().items()
        if before.descriptors.get(number) != target and not _is_stateless(number) and not _is_renewable(number, target)
    ]
    found += [f'a descriptor of the platform that was closed ({number})' for number in range(5) if not _is_open(number)]
    threads = _new_threads(before)
    if threads:
        found.append(f'running threads: {_names(threads)}')
    processes = [name for number, name in _processes().items() if number not in before.processes]
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
