"""A process of a team that does in Redis, in Gloo or in Open MPI what the channels are measured with.

    python peers.py redis RANK PROCESSES REDIS_PORT CONTROL_PORT
    python peers.py gloo RANK PROCESSES FOLDER CONTROL_PORT        who meet in an empty folder
    python peers.py mpi CONTROL_PORT                               started by mpirun
    python peers.py run PROGRAM ARGUMENTS...                       becomes that program, which ends when we end

The benchmark's orders come through the control port, as lines `what bytes times`, and so do our answers: seconds from
a barrier to the end of our last round. Between orders we sleep in the kernel, so that a team that waits for its turn
takes no time from the one that is measured. In an order `confirmed NAME` no round begins before the one before it is
over: the sender hears that all have what it sent, the others hear that one has added up. Without it rounds may run
ahead of the slowest process, as these systems let them: that is a rate, not the time of a round.
"""
import ctypes
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import signal
import socket
import sys
import time

import_error = None
try:
    import numpy as np
except ImportError as error:  # `run` needs none
    import_error = error

# What is added up: 8 bytes of ones, as the channels' members do.
ONES = 0x0101010101010101
# What numbers are partitioned by: the same as in `member.rs`.
FACTOR = 0x9E3779B97F4A7C15


def die_with_parent(how):
    """Whatever ends the benchmark, even `kill -9`, ends us. Only Linux has this; elsewhere the pipes' ends do it."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, how)


def partition(numbers, processes):
    """Numbers by the hash of their place, those of one receiver side by side, and how many go to each."""
    places = np.arange(len(numbers), dtype=np.uint64)
    receivers = ((places * np.uint64(FACTOR)) >> np.uint64(32)) % np.uint64(processes)
    # numpy sorts 8 and 16 bits by radix, the fastest way to group that it has.
    receivers = receivers.astype(np.uint8 if processes <= 256 else np.uint16)
    order = np.argsort(receivers, kind="stable")
    return numbers[order], np.bincount(receivers, minlength=processes)


def check(what, result, expected):
    if len(result) and not (result[0] == expected and result[-1] == expected):
        raise ValueError(f"{what}: {result[0]} and {result[-1]} came out, {expected} was expected")


class Redis:
    """One server on loopback, as redis-py with its C parser talks to it.

    Nobody polls: subscribers and BLPOP wait in the server. A broadcast is a PUBLISH to all others, one command for
    the sender and one answer for each receiver. The other way with blocking reads, a SET, a token in a list for each
    receiver, BLPOP and GET, took twice the time for 100 bytes and the same for 20 MB. A reduce takes from a list what
    the others push, as it comes; an all-reduce publishes that sum.
    """

    def __init__(self, rank, processes, port):
        import redis

        # The older protocol: its client took a seventh of the time for 20 MB that are published, two thirds for a
        # reduce of them. Reads in larger steps than its 64 KB help a little.
        options = {"host": "127.0.0.1", "port": port, "socket_read_size": 1 << 20, "protocol": 2}
        self.rank, self.processes, self.round = rank, processes, 0
        self.client = redis.Redis(**options, single_connection_client=True)
        self.news = None
        if rank != 0:
            self.news = redis.Redis(**options).pubsub(ignore_subscribe_messages=True)
            self.news.subscribe("news")
            # The answer to the subscription: nothing is published before all have theirs.
            self.news.parse_response(block=True)
        self.facts = f"server {self.client.info('server')['redis_version']}, redis-py {redis.__version__}"

    def barrier(self):
        self.round += 1
        self.gather(f"barrier:{self.round}")

    def gather(self, key):
        """Nobody goes on before all have come: the last one wakes the others."""
        if self.client.incr(key) == self.processes:
            pipe = self.client.pipeline(transaction=False)
            if self.processes > 1:
                pipe.rpush(key + ":go", *["go"] * (self.processes - 1))
            pipe.delete(key)
            pipe.execute()
        else:
            self.client.blpop([key + ":go"])

    def confirm(self):
        """Who has sent hears when the last of the others has it: the last says so."""
        key = f"have:{self.round}"
        if self.rank == 0:
            if self.processes > 1:
                self.client.blpop([key + ":all"])
        elif self.client.incr(key) == self.processes - 1:
            self.client.pipeline(transaction=False).rpush(key + ":all", "all").delete(key).execute()

    def broadcast(self, data):
        if self.rank == 0:
            self.client.publish("news", memoryview(data).cast("B"))
            return data
        return np.frombuffer(self.news.parse_response(block=True)[2], dtype=np.int64)

    def reduce(self, data):
        key = f"sum:{self.round}"
        if self.rank != 0:
            self.client.rpush(key, memoryview(data).cast("B"))
            return None
        total, missing = data.copy(), self.processes - 1
        # Small values come in one answer, as many as are there; of large ones each is added while the next arrives.
        at_once = missing if data.nbytes <= 65536 else 1
        while missing > 0:
            for value in self.client.blmpop(0, 1, key, direction="LEFT", count=at_once)[1]:
                total += np.frombuffer(value, dtype=np.int64)
                missing -= 1
        return total

    def all_reduce(self, data):
        return self.broadcast(self.reduce(data))

    def exchange(self, grouped, counts):
        """Hands each process what is its; one round trip to send it all, then what the others have sent."""
        cuts = np.concatenate(([0], np.cumsum(counts)))
        parts = [grouped[start:end] for start, end in zip(cuts, cuts[1:])]
        pipe = self.client.pipeline(transaction=False)
        for to, part in enumerate(parts):
            if to != self.rank:
                pipe.rpush(f"part:{self.round}:{to}", memoryview(part).cast("B"))
        pipe.execute()
        key, got = f"part:{self.round}:{self.rank}", [parts[self.rank]]
        for _ in range(self.processes - 1):
            got.append(np.frombuffer(self.client.blpop([key])[1], dtype=np.int64))
        return got

    def clean(self):
        pass


class Buffered:
    """Of those whose collectives fill a buffer: it is there before the clock starts, as long as rounds are alike."""

    into = None

    def clean(self):
        self.into = None

    def space(self, data):
        if self.into is None or len(self.into) != len(data):
            self.into = np.zeros_like(data)
        return self.into


class Gloo(Buffered):
    """The collectives of Gloo over TCP on loopback, by the bindings that come with xoscar, of which nothing else is used.

    An all-reduce of little goes by the exchange of halves, which took a third of the ring's time; larger ones by the
    ring. There is no exchange of unequal parts: all are filled up to the largest.
    """

    HALVES = 65536

    def __init__(self, rank, processes, folder):
        self.rank, self.processes, self.round = rank, processes, 0
        package = importlib.metadata.distribution("xoscar")
        [path] = [it.locate() for it in package.files if "pygloo" in it.name and it.suffix == ".so"]
        loader = importlib.machinery.ExtensionFileLoader("xoscar_pygloo", str(path))
        self.gloo = importlib.util.module_from_spec(importlib.util.spec_from_loader("xoscar_pygloo", loader))
        loader.exec_module(self.gloo)
        self.kind, self.operators = self.gloo.GlooDataType_t.glooInt64, self.gloo.ReduceOp
        tcp, meeting = self.gloo.transport.tcp, self.gloo.rendezvous
        self.team = meeting.Context(rank, processes)
        device = tcp.CreateDevice(tcp.attr("127.0.0.1"))
        self.team.connectFullMesh(meeting.PrefixStore("peers", meeting.FileStore(folder)), device)
        self.facts = f"the one of xoscar {package.version}, over TCP"

    def barrier(self):
        self.round += 1
        self.gloo.barrier(self.team)

    def confirm(self):
        self.gloo.barrier(self.team)

    def broadcast(self, data):
        into = data if self.rank == 0 else self.space(data)
        # Who sends must name where it would receive; nothing is copied there if it is where it sends from.
        self.gloo.broadcast(self.team, into.ctypes.data, into.ctypes.data, len(into), self.kind, 0)
        return into

    def reduce(self, data):
        into = self.space(data)
        self.gloo.reduce(
            self.team, data.ctypes.data, into.ctypes.data, len(into), self.kind, self.operators.SUM, 0
        )
        return into if self.rank == 0 else None

    def combine(self, data, into, operator):
        algorithms = self.gloo.AllreduceAlgorithm
        how = algorithms.BCUBE if data.nbytes <= self.HALVES else algorithms.RING
        self.gloo.allreduce(
            self.team, data.ctypes.data, into.ctypes.data, len(data), self.kind, operator, how
        )
        return into

    def all_reduce(self, data):
        return self.combine(data, self.space(data), self.operators.SUM)

    def exchange(self, grouped, counts):
        largest = np.array([counts.max()], dtype=np.int64)
        largest = int(self.combine(largest, np.zeros_like(largest), self.operators.MAX)[0])
        parts = np.zeros((self.processes, largest + 1), dtype=np.int64)
        cuts = np.concatenate(([0], np.cumsum(counts)))
        for part, start, end in zip(parts, cuts, cuts[1:]):
            part[0], part[1 : end - start + 1] = end - start, grouped[start:end]
        into = np.empty_like(parts)
        self.gloo.all_to_all(self.team, parts.ctypes.data, into.ctypes.data, parts.size, self.kind)
        return [part[1 : part[0] + 1] for part in into]


class Mpi(Buffered):
    """The collectives of the MPI library, on buffers that are there before the clock starts."""

    def __init__(self):
        from mpi4py import MPI

        self.mpi, self.world = MPI, MPI.COMM_WORLD
        self.rank, self.processes = self.world.Get_rank(), self.world.Get_size()
        self.round = 0
        version = ".".join(map(str, MPI.get_vendor()[1]))
        self.facts = f"{MPI.get_vendor()[0]} {version}, single copy: {self.single_copy()}"

    def single_copy(self):
        """How a process gets at another's memory: what the library has chosen, and whether the kernel lets it."""
        chosen = control_variable("btl_vader_single_copy_mechanism")
        if chosen is not None:
            # The order of its enumeration.
            chosen = {0: "xpmem", 1: "cma", 2: "knem", 3: "none", 4: "emulated"}.get(chosen, f"number {chosen}")
        else:
            # From version 5 on, a component of its own, which has parameters only where it was not turned off.
            chosen = "none" if control_variable("smsc_cma_priority") is None else "cma"
        mine = np.full(1, ONES, dtype=np.int64)
        where = self.world.allgather((os.getpid(), mine.ctypes.data))
        pid, address = where[(self.rank + 1) % self.processes]
        works = self.world.allreduce(int(read_other(pid, address) == ONES), op=self.mpi.MIN)
        self.world.Barrier()
        return f"{chosen}, and the kernel {'lets' if works else 'does not let'} processes read each other"

    def barrier(self):
        self.round += 1
        self.world.Barrier()

    def confirm(self):
        self.world.Barrier()

    def broadcast(self, data):
        into = data if self.rank == 0 else self.space(data)
        self.world.Bcast([into, len(into), self.mpi.INT64_T], root=0)
        return into

    def reduce(self, data):
        into = self.space(data) if self.rank == 0 else None
        to = None if into is None else [into, self.mpi.INT64_T]
        self.world.Reduce([data, self.mpi.INT64_T], to, op=self.mpi.SUM, root=0)
        return into

    def all_reduce(self, data):
        into = self.space(data)
        self.world.Allreduce([data, self.mpi.INT64_T], [into, self.mpi.INT64_T], op=self.mpi.SUM)
        return into

    def exchange(self, grouped, counts):
        """How much comes from whom must be known first."""
        coming = np.empty(self.processes, dtype=np.int64)
        self.world.Alltoall(np.ascontiguousarray(counts, dtype=np.int64), coming)
        into = np.empty(int(coming.sum()), dtype=np.int64)
        kind = self.mpi.INT64_T
        self.world.Alltoallv([grouped, counts, kind], [into, coming, kind])
        return [into]


def control_variable(name):
    """A number that the running MPI library works with, by its tools interface; nothing if it has no such."""
    library = ctypes.CDLL("libmpi.so.40")
    provided, index, handle = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
    count, value = ctypes.c_int(), ctypes.c_int(-1)
    if library.MPI_T_init_thread(0, ctypes.byref(provided)) != 0:
        return None
    try:
        if library.MPI_T_cvar_get_index(name.encode(), ctypes.byref(index)) != 0:
            return None
        if library.MPI_T_cvar_handle_alloc(index, None, ctypes.byref(handle), ctypes.byref(count)) != 0:
            return None
        failed = library.MPI_T_cvar_read(handle, ctypes.byref(value)) != 0
        library.MPI_T_cvar_handle_free(ctypes.byref(handle))
        return None if failed else value.value
    finally:
        library.MPI_T_finalize()


def read_other(pid, address):
    """8 bytes of another process by the call that CMA is made of; nothing if the kernel refuses."""

    class Range(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    read = getattr(ctypes.CDLL(None, use_errno=True), "process_vm_readv", None)
    if read is None:
        return None
    read.restype = ctypes.c_ssize_t
    one, value = ctypes.c_ulong(1), ctypes.c_int64()
    here = Range(ctypes.cast(ctypes.byref(value), ctypes.c_void_p).value, 8)
    there = Range(address, 8)
    got = read(pid, ctypes.byref(here), one, ctypes.byref(there), one, ctypes.c_ulong(0))
    return value.value if got == 8 else None


def rounds(team, what, size):
    """What one round does, what it must end with, and how all hear that it is over."""
    data = np.full((size + 7) // 8, ONES, dtype=np.int64)
    confirmed, name = what.startswith("confirmed "), what.removeprefix("confirmed ")
    total = ONES * team.processes % (1 << 64)
    # As two's complement has it.
    total -= (total >> 63) << 64
    word = np.zeros(1, dtype=np.int64)
    works = {
        "broadcast": (lambda: team.broadcast(data), ONES),
        "reduce": (lambda: team.reduce(data), total),
        "all-reduce": (lambda: team.all_reduce(data), total),
        "shuffle": (lambda: team.exchange(*partition(data, team.processes)), ONES),
    }
    if name == "exchange":
        grouped, counts = partition(data, team.processes)
        works[name] = (lambda: team.exchange(grouped, counts), ONES)
    work, expected = works[name]
    if not confirmed:
        return work, expected, lambda: None
    return work, expected, (lambda: team.broadcast(word)) if name == "reduce" else team.confirm


def measure(team, what, size, times):
    work, expected, confirm = rounds(team, what, size)
    team.barrier()
    began = time.perf_counter()
    for _ in range(times):
        team.round += 1
        result = work()
        confirm()
    seconds = time.perf_counter() - began
    for part in result if isinstance(result, list) else [] if result is None else [result]:
        check(what, part, expected)
    result = None
    team.barrier()
    team.clean()
    return seconds


def serve(team, port):
    """Does what it is told until there is nothing more."""
    with socket.create_connection(("127.0.0.1", port)) as control:
        control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        orders, words = control.makefile("r"), control.makefile("w")
        say(words, {"rank": team.rank, "facts": team.facts})
        for order in orders:
            what, size, times = order.rstrip("\n").rsplit(" ", 2)
            say(words, measure(team, what, int(size), int(times)))


def say(words, what):
    words.write(json.dumps(what) + "\n")
    words.flush()


def main(kind, *arguments):
    if kind == "run":
        # mpirun and the server end their work in order when they are asked to.
        die_with_parent(signal.SIGTERM)
        os.execvp(arguments[0], arguments)
    if import_error:
        raise import_error
    die_with_parent(signal.SIGKILL)
    # Ctrl-C is the benchmark's to hear: it ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    team = None
    try:
        if kind == "redis":
            rank, processes, redis_port, control_port = map(int, arguments)
            team = Redis(rank, processes, redis_port)
        elif kind == "gloo":
            rank, processes, control_port = int(arguments[0]), int(arguments[1]), int(arguments[3])
            team = Gloo(rank, processes, arguments[2])
        elif kind == "mpi":
            control_port = int(arguments[0])
            team = Mpi()
        else:
            raise SystemExit(f"{kind}: not a peer; `redis`, `gloo`, `mpi` or `run` was expected")
        serve(team, control_port)
    except Exception as error:
        whose = kind if team is None else f"{kind}, rank {team.rank}"
        print(f"peers.py: {whose}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if isinstance(team, Mpi):
            # An ordinary end would wait for the others, who wait for us.
            team.world.Abort(1)
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
