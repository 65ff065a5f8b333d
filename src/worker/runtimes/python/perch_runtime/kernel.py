# The calls of the kernel that Python does not offer (or only its newest versions), for a cell and its copies. A plain
# instance never imports this file. The sandbox's filter lets these calls through with the flags used here, and no others.
import ctypes
import os

CLONE_NEWNS = 0x20000
CLONE_NEWIPC = 0x8000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096

WALL = 0x40000000

_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]


def _checked(name):
    call = getattr(_libc, name)

    def checked(*values):
        if call(*values) < 0:
            number = ctypes.get_errno()
            raise OSError(number, f'{name}: {os.strerror(number)}')

    return checked


unshare = _checked('unshare')
setns = _checked('setns')
mount = _checked('mount')
_capset = _checked('capset')

_header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
_none = (ctypes.c_uint32 * 6)()


def drop_capabilities():
    _capset(_header, _none)
