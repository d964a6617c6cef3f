"""Timing: systems in turns, cold or warm, by CUDA events around graph replays, or by wall clock."""

import statistics
import time

BUDGET = 3.0  # seconds of samples a system and regime
LEAST, WANTED, MOST = 10, 50, 100
MOST_SPREAD = 0.05  # of a quiet row, standard deviation over mean
NORMAL = 1.4826  # times the median deviation: the standard deviation, where samples are normal
LEAD_CYCLES = 400_000  # of a busy GPU, so that the host is ahead when the timed work begins


def summary(samples):
    """{median_us, mad_us, cv, n, tries} of samples in microseconds."""
    median = statistics.median(samples)
    mad = statistics.median(abs(s - median) for s in samples)
    spread = statistics.pstdev(samples) / statistics.mean(samples)
    return {"median_us": median, "mad_us": mad, "cv": spread, "n": len(samples), "tries": 1}


def rounds(seconds):
    """How many samples of something that takes so long: 50 to 100 where that takes no more than
    twice the budget, fewer for what is slower, at least 10."""
    if seconds * WANTED > 2 * BUDGET:
        return max(LEAST, int(2 * BUDGET / seconds))
    return min(MOST, max(WANTED, int(BUDGET / max(seconds, 1e-9))))


def flaws(timing):
    """What keeps a row from being a good measurement, of `spread` and `few` (samples); nothing does
    where a model or nobody timed it."""
    if timing["timer"] in ("model", "none"):
        return []
    spread = timing["cv"]
    if spread is None:
        spread = NORMAL * timing["mad_us"] / timing["median_us"]
    return ["spread"] * (spread > MOST_SPREAD) + ["few"] * (timing["n"] < WANTED)


def race(clock, runs, cold):
    """Times prepared runs. Those whose samples spread too far are run a second time, and more
    often, where the budget allows it; the quieter of the two counts. Returns a list of
    summaries."""
    counts = [min(clock.most, rounds(min(clock.sample(run, cold) for _ in range(2)) * 1e-6))
              for run in runs]
    timings = take_turns(clock, runs, counts, cold)
    more = [more_rounds(timing) for timing in timings]
    again = [i for i, timing in enumerate(timings)
             if timing["cv"] > MOST_SPREAD and more[i] > timing["n"]]
    second = take_turns(clock, [runs[i] for i in again], [more[i] for i in again], cold)
    for i, timing in zip(again, second):
        timings[i] = dict(min(timings[i], timing, key=lambda t: t["cv"]), tries=2)
    return timings


def more_rounds(timing):
    """Twice as many samples, or as many as twice the budget pays for."""
    return min(2 * timing["n"], int(2 * BUDGET / (timing["median_us"] * 1e-6)))


def take_turns(clock, runs, counts, cold):
    """Summaries of so many samples of each run, taken in turns (ABAB...)."""
    samples = [[] for _ in runs]
    for turn in range(max(counts, default=0)):
        for run, count, kept in zip(runs, counts, samples):
            if turn < count:
                kept.append(clock.sample(run, cold))
    return [summary(kept) for kept in samples]


class Run:
    """A prepared system: call() does the work once. `graph` says whether it replays a graph."""

    def __init__(self, call, graph, wall):
        self.call, self.graph, self.wall = call, graph, wall


class CudaClock:
    """Events on the current stream; by the wall for systems with a stream of their own."""
    most = MOST

    def __init__(self, torch, place, l2_bytes):
        self.torch = torch
        self.flush = torch.empty(max(4 * l2_bytes, 1 << 28) // 4, dtype=torch.int32, device=place)
        self.start, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.turn = 0

    def prepare(self, runner):
        """Warms a system up and captures it into a graph if it never waits for the GPU."""
        for _ in range(3):
            runner.run()
        self.torch.cuda.synchronize()
        if runner.own_stream:
            return Run(runner.run, False, True)
        graph = self.capture(runner) if self.never_waits(runner) else None
        return Run(graph.replay if graph else runner.run, graph is not None, False)

    def never_waits(self, runner):
        self.torch.cuda.set_sync_debug_mode("error")
        try:
            runner.run()
            return True
        except RuntimeError:
            return False
        finally:
            self.torch.cuda.set_sync_debug_mode("default")
            self.torch.cuda.synchronize()

    def capture(self, runner):
        graph = self.torch.cuda.CUDAGraph()
        try:
            with self.torch.cuda.graph(graph):
                runner.run()
            graph.replay()
            self.torch.cuda.synchronize()
            return graph
        except RuntimeError:
            self.torch.cuda.synchronize()
            return None

    def sample(self, run, cold):
        """Microseconds of one call. Cold: all of L2 was overwritten before; warm: the same call
        ran just before."""
        self.turn += 1
        if cold:
            self.flush.fill_(self.turn)
        else:
            run.call()
        if run.wall:
            return self.sample_wall(run)
        self.torch.cuda._sleep(LEAD_CYCLES)
        self.start.record()
        run.call()
        self.end.record()
        self.end.synchronize()
        return self.start.elapsed_time(self.end) * 1e3

    def sample_wall(self, run):
        self.torch.cuda.synchronize()
        begin = time.perf_counter()
        run.call()
        return (time.perf_counter() - begin) * 1e6

    def timer(self, run):
        return "wall" if run.wall else "events"


class HostClock:
    """The wall clock, for rivals that run on the CPU beside a simulated GPU: few samples, since
    they only show that everything runs."""
    most = LEAST

    def __init__(self, torch, place, l2_bytes):
        del place
        self.flush = torch.empty(l2_bytes // 4, dtype=torch.int32)

    def prepare(self, runner):
        runner.run()
        return Run(runner.run, False, True)

    def sample(self, run, cold):
        if cold:
            self.flush.fill_(1)
        begin = time.perf_counter()
        run.call()
        return (time.perf_counter() - begin) * 1e6

    def timer(self, run):
        del run
        return "wall"
