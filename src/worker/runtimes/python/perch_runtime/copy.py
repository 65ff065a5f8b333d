# From fork(2) to `ready`: what a copy does before its invocation can come, in this order.
#
#   session       a signal to its process group (kill(0, …)) would reach its zygote and every other copy
#   cgroups       it leaves its zygote's limits for its own
#   namespaces    mounts, System V objects and network of its own; it is process 1 of its own process namespace
#   /tmp, /proc   new ones; no terminals
#   descriptors   its own channel, answers and output; nothing of its zygote's
#   privileges    none are left
#   random streams: its own; see separate.py
#   rehearsal     a dummy invocation through the whole path
import os

from . import channel, kernel, own, separate
from .uncopyable import DEVICE
from .kernel import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT

FORK_NEW_NETWORK = 1
FORK_ENTER_NETWORK = 2
FORK_ONCE = 4

_TMP_OPTIONS = f'mode=1777,size={os.environ.pop("PERCH_TMP_BYTES_MAX", "50%")}'.encode()
_FIRST_UNUSED = 5
_DESCRIPTORS_MAX = os.sysconf('SC_OPEN_MAX')

_duplicate = os.dup2
_open = os.open
_seek = os.lseek
_close_range = os.closerange
_new_session = os.setsid


def _join_cgroups(descriptors):
    for descriptor in descriptors:
        own.write(descriptor, b'0')


def _mount_own():
    kernel.mount(b'tmpfs', b'/tmp', b'tmpfs', MS_NOSUID | MS_NODEV, _TMP_OPTIONS)
    kernel.mount(b'proc', b'/proc', b'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
    # The user inside owns the settings of its network there, which outlive the copy.
    kernel.mount(b'/proc/sys', b'/proc/sys', None, MS_BIND, None)
    flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
    kernel.mount(b'none', b'/proc/sys', None, flags, None)
    # The terminals that one copy makes there could be opened by all others: a copy has none.
    kernel.mount(b'tmpfs', b'/dev/pts', b'tmpfs', MS_NOSUID | MS_NODEV, b'mode=555,nr_inodes=1')


def _take_descriptors(channel_in, answers, output, files):
    # Those that came are numbered from 5: 0 to 4 are the zygote's, and open.
    _duplicate(channel_in, channel.IN, inheritable=False)
    _duplicate(answers, channel.OUT, inheritable=False)
    _duplicate(output, 1)
    _duplicate(output, 2)
    # Even /dev/null: what is set on an open file (fcntl's flags) is seen by all who have inherited it.
    _renew(0, '/dev/null', DEVICE)
    first = _FIRST_UNUSED
    for number, path, position in files:
        _close_range(first, number)
        first = number + 1
        _renew(number, path, position)
    _close_range(first, _DESCRIPTORS_MAX)


def _renew(number, path, position):
    opened = _open(path, (os.O_RDWR if position == DEVICE else os.O_RDONLY) | os.O_CLOEXEC)
    if position != DEVICE:
        _seek(opened, position, os.SEEK_SET)
    _duplicate(opened, number, inheritable=False)
    own.close(opened)


def become_copy(server, files, flags, rights):
    """Called in the child of a fork. `files`: what uncopyable.renewable found."""
    channel_in, answers, output, *others = rights
    network = others.pop(0) if flags & FORK_ENTER_NETWORK else -1
    _new_session()
    _join_cgroups(others)
    new_network = kernel.CLONE_NEWNET if flags & FORK_NEW_NETWORK else 0
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | new_network)
    if network >= 0:
        kernel.setns(network, kernel.CLONE_NEWNET)
    _mount_own()
    _take_descriptors(channel_in, answers, output, files)
    kernel.drop_capabilities()
    if new_network:
        channel.send(channel.MADE, 0, 0, b'')
    separate.separate()
    server.once = flags & FORK_ONCE != 0
    server.rehearse()
