"""The channels of Python's multiprocessing, measured by Python itself.

    python3 -c SCRIPT '{"what": "queue", "size": 64, ...}'

prints one line of JSON. Written as the documentation shows it; messages are
bytes. Every message is compared with what was sent, and so is its order.

Processes are forked, whatever this Python does unasked: fork was the default on
Linux up to 3.13, it is the fastest, and the other ways must import the program
from a file.
"""
import json
import multiprocessing as mp
import signal
import sys
import time

ctx = mp.get_context("fork")

PIECES = 64


def text(size):
    """The messages of one producer: number i is PIECES[i % 64] behind 8 bytes."""
    block = bytes((i * 2654435761 >> 13) & 255 for i in range(4096))
    block = block * (size // 4096 + 2)
    return [block[i * 61 : i * 61 + max(0, size - 8)] for i in range(PIECES)]


def make(producer, seq, texts):
    return (producer << 48 | seq).to_bytes(8, "little") + texts[seq % PIECES]


class Pipe:
    """One Pipe, simplex. One process at each end: it has no locks."""

    def __init__(self, capacity):
        self.reader, self.writer = ctx.Pipe(duplex=False)

    def put(self, m):
        self.writer.send_bytes(m)

    def get(self):
        return self.reader.recv_bytes()


KINDS = {
    "py-queue": lambda capacity: ctx.Queue(capacity),
    "py-simplequeue": lambda capacity: ctx.SimpleQueue(),
    "py-pipe": Pipe,
}


def start_child():
    signal.alarm(120)  # Whatever becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def produce(q, number, count, texts, ready, gate, spent):
    start_child()
    ready.release()
    gate.wait()
    before = time.process_time()
    for i in range(count):
        q.put(make(number, i, texts))
    if hasattr(q, "close") and hasattr(q, "join_thread"):
        q.close()
        q.join_thread()
    with spent.get_lock():
        spent.value += time.process_time() - before


def consume(q, producers, count, texts, ready, gate, spent, results):
    start_child()
    last = [-1] * producers
    n, wrong, end = 0, 0, 0.0
    ready.release()
    gate.wait()
    before = time.process_time()
    while True:
        m = q.get()
        if not m:
            break
        name = int.from_bytes(m[:8], "little")
        producer, seq = name >> 48, name & (1 << 48) - 1
        if producer >= producers or m[8:] != texts[seq % PIECES] or seq <= last[producer]:
            wrong += 1
        else:
            last[producer] = seq
        n += 1
        if seq >= count - count // 50 - 1:
            end = time.monotonic()
    with spent.get_lock():
        spent.value += time.process_time() - before
    results.put((n, wrong, end))


def throughput(a):
    q = KINDS[a["what"]](a["capacity"])
    texts = text(a["size"])
    ready, gate, spent, results = ctx.Semaphore(0), ctx.Event(), ctx.Value("d", 0.0), ctx.SimpleQueue()
    consumers = [
        ctx.Process(target=consume, args=(q, a["producers"], a["count"], texts, ready, gate, spent, results), daemon=True)
        for _ in range(a["consumers"])
    ]
    producers = [
        ctx.Process(target=produce, args=(q, i, a["count"], texts, ready, gate, spent), daemon=True)
        for i in range(a["producers"])
    ]
    for p in consumers + producers:
        p.start()
    for _ in consumers + producers:
        ready.acquire()
    begin = time.monotonic()
    gate.set()
    for p in producers:
        p.join()
    for _ in consumers:
        q.put(b"")
    got = [results.get() for _ in consumers]
    for p in consumers:
        p.join()
    return {
        "messages": sum(g[0] for g in got),
        "wrong": sum(g[1] for g in got),
        "seconds": max(g[2] for g in got) - begin,
        "cpu": spent.value,
    }


def answer(there, back):
    start_child()
    while True:
        m = there.get()
        if not m:
            return
        back.put(m)


def pingpong(a):
    there, back = KINDS[a["what"]](a["capacity"]), KINDS[a["what"]](a["capacity"])
    texts = text(a["size"])
    p = ctx.Process(target=answer, args=(there, back), daemon=True)
    p.start()
    times, wrong, end = [], 0, time.monotonic() + a["seconds"]
    seq = 0
    while time.monotonic() < end:
        m = make(0, seq, texts)
        t = time.perf_counter_ns()
        there.put(m)
        got = back.get()
        times.append(time.perf_counter_ns() - t)
        wrong += got != m
        seq += 1
    there.put(b"")
    p.join()
    times = sorted(times[len(times) // 10 :])
    at = lambda q: times[min(len(times) - 1, int(len(times) * q))]
    return {
        "messages": len(times), "wrong": wrong, "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p999": at(0.999), "max": times[-1],
    }


def hold(lock, count, ready, gate):
    start_child()
    ready.release()
    gate.wait()
    for _ in range(count):
        lock.acquire()
        lock.release()


def lock(a):
    m, ready, gate = ctx.Lock(), ctx.Semaphore(0), ctx.Event()
    ps = [ctx.Process(target=hold, args=(m, a["count"], ready, gate), daemon=True) for _ in range(a["producers"])]
    for p in ps:
        p.start()
    for _ in ps:
        ready.acquire()
    begin = time.monotonic()
    gate.set()
    for p in ps:
        p.join()
    return {"messages": a["count"] * len(ps), "wrong": 0, "seconds": time.monotonic() - begin}


def process(a):
    """Starts and joins a process that does nothing, by the start method asked for.
    Its target is a builtin, so that a fresh interpreter imports nothing of ours."""
    ctx, times = mp.get_context(a["method"]), []
    for _ in range(a["count"]):
        begin = time.perf_counter_ns()
        p = ctx.Process(target=int)
        p.start()
        p.join()
        times.append(time.perf_counter_ns() - begin)
    times.sort()
    return {"messages": len(times), "wrong": 0, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "min": times[0], "max": times[-1]}


def take_and_hold(lock, ready):
    start_child()
    lock.acquire()
    ready.release()
    time.sleep(100)


def crash(a):
    """A holder of the lock is killed. Does the next one ever get it?"""
    m, ready = ctx.Lock(), ctx.Semaphore(0)
    p = ctx.Process(target=take_and_hold, args=(m, ready), daemon=True)
    p.start()
    ready.acquire()
    p.kill()
    p.join()
    begin = time.monotonic()
    got = m.acquire(timeout=a["seconds"])
    return {"messages": int(got), "wrong": 0, "seconds": time.monotonic() - begin}


def victim_of_queue(q, scene, ready):
    start_child()
    if scene == "consumer":
        q.get()
        ready.release()
        time.sleep(100)  # With the message in its hands.
    q.put(bytes(3 << 20))  # Its thread blocks in the middle of writing that.
    ready.release()
    time.sleep(100)


def successor_in_queue(q, ready):
    start_child()
    for i in range(10):
        q.put(i)
    ready.release()
    q.close()
    q.join_thread()


def survivor_of_queue(q, got):
    start_child()
    while True:
        if isinstance(q.get(), int):
            with got.get_lock():
                got.value += 1


def crash_queue(a):
    """A producer is killed in the middle of a message, or a consumer with one in
    its hands. How many of the ten messages of the next producer arrive?"""
    q, ready, got = ctx.Queue(a["capacity"]), ctx.Semaphore(0), ctx.Value("i", 0)
    start = lambda f, *args: (p := ctx.Process(target=f, args=args, daemon=True)).start() or p
    victim = start(victim_of_queue, q, a["scene"], ready)
    if a["scene"] == "producer":
        ready.acquire()
        time.sleep(0.1)  # By now it is in the middle.
    others = [start(successor_in_queue, q, ready)]
    ready.acquire()
    if a["scene"] == "consumer":
        ready.acquire()  # Both: the messages are sent, and the victim has the first.
    else:
        others.append(start(survivor_of_queue, q, got))
    victim.kill()
    victim.join()
    begin = time.monotonic()
    if a["scene"] == "consumer":
        others.append(start(survivor_of_queue, q, got))
    while got.value < 10 and time.monotonic() < begin + a["seconds"]:
        time.sleep(0.001)
    took = time.monotonic() - begin
    for p in others:
        p.kill()
        p.join()
    return {"messages": got.value, "wrong": 0, "seconds": took}


def main():
    a = json.loads(sys.argv[1])
    f = {"lock": lock, "process": process, "crash": crash, "crash-queue": crash_queue}.get(a["what"])
    if f is None:
        f = pingpong if a.get("latency") else throughput
    print(json.dumps(f(a)))


if __name__ == "__main__":
    signal.alarm(120)
    main()
