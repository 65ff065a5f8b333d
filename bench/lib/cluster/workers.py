"""Many workers in one process: each connects, says HELLO, announces its cores when it is welcomed, and beats.

Its bytes are put together by who starts it (workers.ts), and it makes four system calls for a worker that comes and two a second
for one that is there: what is measured is the scheduler, and 20,000 machines have more than this one CPU. After a connection has
ended each dials again, between half a second and a second later.

Arguments: port, workers, bytes of a HELLO, of WELCOME, where the first core is in WELCOME, bytes of an announcement. Standard input: the
HELLOs, then an announcement for each place; it ends when its input does. Prints a line when all have announced once.
"""

import errno
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import time

PORT, WORKER_COUNT, HELLO_BYTES, WELCOME_BYTES, FIRST_CORE_AT, ANNOUNCEMENT_BYTES = map(int, sys.argv[1:7])
REDIAL_S = (0.5, 1.0)
BEAT_S = 1.0
# Beats are spread over the second.
BEAT_TURNS = 50
# The first start is not what is measured.
FIRST_DIALS_PER_S = 5000
READ_BYTES = 4096
WORD_CORES = 32
# A batch: its kind, bytes that follow, number, and bytes received.
HEAD = struct.Struct("<IIII")
BATCH = 1
# Of <linux/in.h>: the port is chosen when it connects.
IP_BIND_ADDRESS_NO_PORT = 24

poll = select.epoll()
by_file = {}
# When it dials, and who.
dials = []


class Worker:
    __slots__ = ("announced", "batches", "hello", "host", "received", "sock", "welcome")

    def __init__(self, index, hello):
        # Of its own, as a machine has: the kernel is slow to find a port that is free where one address has used most of them.
        self.host = f"127.1.{index >> 8}.{index & 255}"
        self.hello = hello
        self.sock = None
        self.announced = False

    def dial(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self.host, 0))
        code = sock.connect_ex(("127.0.0.1", PORT))
        if code == errno.ECONNREFUSED:
            sock.close()
            return dial_later(self)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        self.sock = sock
        self.batches = 1
        self.received = 0
        self.welcome = b""
        self.announced = False
        by_file[sock.fileno()] = self
        # On loopback it is connected by now, unless too many wait to be accepted.
        is_greeted = self.greet()
        poll.register(sock.fileno(), select.EPOLLIN if is_greeted else select.EPOLLIN | select.EPOLLOUT)

    def greet(self):
        try:
            self.sock.send(self.hello)
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def writable(self):
        if self.greet():
            poll.modify(self.sock.fileno(), select.EPOLLIN)

    def readable(self):
        try:
            data = self.sock.recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            return self.end()
        self.received += len(data)
        if self.announced:
            return
        self.welcome += data
        if len(self.welcome) < WELCOME_BYTES:
            return
        (first_core,) = struct.unpack_from("<I", self.welcome, FIRST_CORE_AT)
        at = first_core // WORD_CORES * ANNOUNCEMENT_BYTES
        self.announced = True
        self.say(announcements[at + HEAD.size : at + ANNOUNCEMENT_BYTES])
        count_announced()

    def say(self, frames):
        head = HEAD.pack(BATCH, len(frames), self.batches, self.received & 0xFFFFFFFF)
        self.batches += 1
        try:
            self.sock.send(head + frames)
        except OSError:
            pass

    def end(self):
        del by_file[self.sock.fileno()]
        self.sock.close()
        self.sock = None
        self.announced = False
        dial_later(self)


def dial_later(worker):
    heapq.heappush(dials, (time.monotonic() + random.uniform(*REDIAL_S), id(worker), worker))


announced_count = 0


def count_announced():
    global announced_count
    announced_count += 1
    if announced_count == WORKER_COUNT:
        print(json.dumps({"port": PORT, "epoch": 0}), flush=True)


hellos = sys.stdin.buffer.read(WORKER_COUNT * HELLO_BYTES)
announcements = sys.stdin.buffer.read(WORKER_COUNT * ANNOUNCEMENT_BYTES)
workers = [Worker(index, hellos[index * HELLO_BYTES : (index + 1) * HELLO_BYTES]) for index in range(WORKER_COUNT)]
start = time.monotonic()
for index, worker in enumerate(workers):
    heapq.heappush(dials, (start + index / FIRST_DIALS_PER_S, id(worker), worker))
poll.register(0, select.EPOLLIN)
next_beat = start
turn = 0
while True:
    for file, event in poll.poll(0.001, 256):
        if file == 0:
            sys.exit()
        worker = by_file.get(file)
        if worker is None:
            continue
        if event & select.EPOLLOUT:
            worker.writable()
        else:
            worker.readable()
    now = time.monotonic()
    for _ in range(64):
        if not dials or dials[0][0] > now:
            break
        heapq.heappop(dials)[2].dial()
    if now >= next_beat:
        next_beat = now + BEAT_S / BEAT_TURNS
        for worker in workers[turn::BEAT_TURNS]:
            if worker.announced:
                worker.say(b"")
        turn = (turn + 1) % BEAT_TURNS
