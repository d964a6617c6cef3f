"""The parts of the headline benchmark that need neither a GPU nor torch."""

import json
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import chart
import clock
import configs
import predict
import results
import table


class FakeCuda:
    """torch as the clock sees it: it notes what is called, and time is what calls cost."""

    def __init__(self):
        self.log, self.now, self.mode, self.int32 = [], 0.0, "default", "int32"
        self.cuda = SimpleNamespace(
            Event=self.event, CUDAGraph=self.graph, graph=self.capturing, synchronize=lambda: None,
            set_sync_debug_mode=self.set_mode, _sleep=lambda cycles: self.log.append("sleep"))

    def set_mode(self, mode):
        self.mode = mode

    def wait(self):
        if self.mode == "error":
            raise RuntimeError("called a synchronizing operation")

    def empty(self, count, dtype, device):
        del count, dtype, device
        return SimpleNamespace(fill_=lambda value: self.log.append("flush"))

    def event(self, enable_timing):
        del enable_timing
        made = SimpleNamespace(at=None, synchronize=lambda: None)
        made.record = lambda: setattr(made, "at", self.now)
        made.elapsed_time = lambda other: other.at - made.at
        return made

    def graph(self):
        made = SimpleNamespace(work=None)
        made.replay = lambda: made.work()
        return made

    @contextmanager
    def capturing(self, graph):
        self.captured = graph
        yield


class FakeRunner:
    """Work of so many milliseconds; some wait for the GPU, some cannot be captured."""
    own_stream = False

    def __init__(self, torch, name, cost, waits=False):
        self.torch, self.name, self.cost, self.waits = torch, name, cost, waits

    def run(self):
        if self.waits:
            self.torch.wait()
        self.torch.log.append(self.name)
        self.torch.now += self.cost
        if getattr(self.torch, "captured", None) and self.torch.captured.work is None:
            self.torch.captured.work = self.run


class Clock(unittest.TestCase):
    def setUp(self):
        self.torch = FakeCuda()
        self.clock = clock.CudaClock(self.torch, "cuda:0", 1 << 20)

    def test_graph_where_nothing_waits(self):
        free = self.clock.prepare(FakeRunner(self.torch, "a", 1))
        waits = self.clock.prepare(FakeRunner(self.torch, "b", 1, waits=True))
        self.assertEqual((free.graph, waits.graph), (True, False))
        self.assertEqual(self.torch.mode, "default")

    def test_flush_is_outside_the_window(self):
        run = self.clock.prepare(FakeRunner(self.torch, "a", 2.0, waits=True))
        self.torch.log.clear()
        self.assertEqual(self.clock.sample(run, cold=True), 2000.0)
        self.assertEqual(self.torch.log, ["flush", "sleep", "a"])
        self.torch.log.clear()
        self.assertEqual(self.clock.sample(run, cold=False), 2000.0)
        self.assertEqual(self.torch.log, ["a", "sleep", "a"])

    def test_systems_take_turns(self):
        runs = [self.clock.prepare(FakeRunner(self.torch, name, cost, waits=True))
                for name, cost in (("a", 1.0), ("b", 3.0))]
        self.torch.log.clear()
        fast, slow = clock.race(self.clock, runs, cold=True)
        self.assertEqual((fast["median_us"], slow["median_us"]), (1000.0, 3000.0))
        self.assertGreaterEqual(min(fast["n"], slow["n"]), clock.WANTED)
        order = "".join(name for name in self.torch.log if name in "ab")
        self.assertIn("ababababab", order)

    def test_rounds(self):
        self.assertEqual(clock.rounds(1e-6), clock.MOST)
        self.assertEqual(clock.rounds(0.1), clock.WANTED)
        self.assertEqual(clock.rounds(5.0), clock.LEAST)

    def test_what_spreads_is_run_again(self):
        noisy = FakeRunner(self.torch, "a", 1.0, waits=True)
        loud = iter([1.0, 1.5] * 28)  # warming up, counting, and the first fifty samples
        quiet = FakeRunner(self.torch, "b", 1.0, waits=True)
        work = noisy.run

        def run():
            noisy.cost = next(loud, 1.25)
            work()
        noisy.run = run
        runs = [self.clock.prepare(runner) for runner in (noisy, quiet)]
        self.clock.most = 50
        first, second = clock.race(self.clock, runs, cold=True)
        self.assertEqual((first["tries"], first["n"]), (2, 100))
        self.assertEqual((second["tries"], second["n"]), (1, 50))
        self.assertLess(first["cv"], clock.MOST_SPREAD)

    def test_flaws(self):
        good = {"timer": "events", "cv": 0.01, "n": 50, "mad_us": 1.0, "median_us": 10.0}
        self.assertEqual(clock.flaws(good), [])
        self.assertEqual(clock.flaws(dict(good, cv=0.06, n=49)), ["spread", "few"])
        self.assertEqual(clock.flaws(dict(good, cv=None)), ["spread"])
        self.assertEqual(clock.flaws(dict(good, timer="model", cv=None, n=1)), [])

    def test_summary(self):
        self.assertEqual(clock.summary([1.0, 2.0, 9.0])["median_us"], 2.0)
        self.assertEqual(clock.summary([1.0, 2.0, 9.0])["mad_us"], 1.0)


def row(system, us, config="one", region="layer", timer="events"):
    return {"config": config, "layer": "", "region": region, "tokens": 8, "distribution": "U",
            "cache": "cold", "system": system, "median_us": us, "mad_us": 0.1, "cv": 0.01, "n": 50,
            "timer": timer, "graph": True, "tflops": 1.0, "gbps": 2.0, "roofline": 10 / us,
            "rel_l2": 1e-3, "max_over_rms": 1e-2, "good": True, "note": ""}


def data(*rows):
    head = {"device": 'sm_90a "A <GPU>"', "commit": "abc", "date": "2026-01-01", "driver": "1"}
    return {"head": head, "ceilings": None, "missing": [], "rows": list(rows)}


class Report(unittest.TestCase):
    def test_lead_is_over_the_fastest_rival(self):
        text = table.text(data(row("moetune", 10), row("slow", 40), row("fast", 15),
                               row("dense", 1)))
        self.assertRegex(text, r"one 8 U layer cold +1\.50x +of fast")

    def test_a_model_leads_nobody(self):
        text = table.text(data(row("moetune", 10, timer="model"), row("fast", 15, timer="wall")))
        self.assertNotIn("speed over", text)

    def test_noise_is_marked(self):
        loud = dict(row("fast", 15), cv=0.08, n=12, noisy=["spread", "few"])
        text = table.text(data(row("moetune", 10), loud))
        self.assertRegex(text, r"fast .* 12 +8\.0 +spread,few")
        self.assertRegex(text, r"1\.50x +of fast +noisy: few, spread")
        self.assertIn("a CV above 5%", text)
        self.assertNotIn("noisy:", table.text(data(row("moetune", 10), row("fast", 15))))

    def test_notes(self):
        told = dict(data(row("moetune", 10)), notes={"one": "without its shared expert"})
        self.assertRegex(table.text(told), r"about the configurations:\none +without its shared")

    def test_missing_systems_are_named(self):
        broken = data()
        broken["missing"] = [{"system": "vllm", "reason": "not here", "where": w}
                             for w in ("one", "two", "three")]
        self.assertRegex(table.text(broken), r"vllm +one and 2 more +not here")

    def test_compare(self):
        text = table.compare(data(row("moetune", 20)), data(row("moetune", 10), row("new", 5)))
        self.assertIn("2.000", text)
        self.assertNotIn("new", text)

    def test_chart(self):
        text = chart.svg(data(row("moetune", 20), row("dense", 11, region="experts"),
                              row("dense", 12, config="two", region="experts")))
        tree = xml.etree.ElementTree.fromstring(text.replace(' xmlns="http://www.w3.org/2000/svg"',
                                                             ""))
        bars = [r for r in tree.iter("rect") if r.get("x") == str(chart.LEFT)]
        self.assertEqual(len(bars), 2)  # the layer where it was timed, else the experts
        self.assertAlmostEqual(float(bars[0].get("width")), chart.WIDTH / 2)


class Files(unittest.TestCase):
    HEAD = {"device": "d", "commit": "abc", "date": "2026-01-01"}

    def test_resume(self):
        with tempfile.TemporaryDirectory() as name:
            first = results.Results.open(Path(name), self.HEAD, False)
            first.data["done"].append("one/8")
            first.data["rows"] = [row("moetune", 1), row("moetune", 1, config="two")]
            first.save()
            again = results.Results.open(Path(name), dict(self.HEAD, date="2026-01-02"), True)
            self.assertTrue(again.is_done("one/8"))
            again.drop_rows("two", 8)
            self.assertEqual([r["config"] for r in again.data["rows"]], ["one"])
            other = results.Results.open(Path(name), dict(self.HEAD, commit="def"), True)
            self.assertFalse(other.is_done("one/8"))
            self.assertEqual(json.loads(first.path.read_text())["head"], self.HEAD)

    def test_folder(self):
        self.assertEqual(results.device_folder('sm_90a "NVIDIA H100 80GB HBM3" sms=132'),
                         "NVIDIA-H100-80GB-HBM3")


class Configs(unittest.TestCase):
    def test_selection(self):
        self.assertEqual([c.number for c in configs.select("10,3", False)], ["10a", "10b", "3"])
        self.assertEqual(len({c.number for c in configs.select("headline", False)}), 11)
        with self.assertRaisesRegex(ValueError, "no configuration nine"):
            configs.select("nine", False)

    def test_tiny(self):
        for config in configs.select("all", True):
            sizes = configs.sizes(config.layer)
            self.assertEqual(int(sizes["d"]) % 8 + int(sizes["f"]) % 8, 0)
            self.assertLessEqual(int(sizes["e"]) * int(sizes["d"]) * int(sizes["f"]), 1 << 20)
            self.assertLessEqual(int(sizes["k"]), int(sizes["e"]))

    def test_targets_are_of_every_token_count(self):
        for config in configs.HEADLINE[:10]:
            self.assertEqual(len(config.targets), len(config.tokens), config.name)
            self.assertTrue(all(must >= aim for must, aim in config.targets))


class Predict(unittest.TestCase):
    """The table of predictions, from what the command says of the forms."""
    FORMS = [
        {"ns": 2400e3, "ops": [{"op": "route", "template": "r@1", "ns": 100e3},
                               {"op": "gemm_up", "template": "g@1", "ns": 2300e3}]},
        {"ns": 1100e3, "ops": [{"op": "route_permute", "template": "m@1", "ns": 100e3},
                               {"op": "gemm_up", "template": "g@1", "ns": 1000e3}]},
    ]

    def row(self, config, device="sim:h100"):
        kept, predict.forms = predict.forms, lambda *_: self.FORMS
        try:
            return predict.predict(SimpleNamespace(device=device), config, config.tokens[0])
        finally:
            predict.forms = kept

    def test_floors_are_those_of_the_table(self):
        floors = [predict.floor_us(c, c.tokens[-1], "sim:h100") for c in configs.HEADLINE[:10]]
        table = 1550, 1550, 7234, 4134, 2044, 1292, 1808, 403, 940, 314
        for floor, want in zip(floors, table):
            self.assertAlmostEqual(floor / want, 1, delta=0.002)
        self.assertIsNone(predict.floor_us(configs.HEADLINE[0], 16384, "sim:a100"))

    def test_the_router_and_forms_that_swallow_it_stay_out(self):
        row = self.row(configs.HEADLINE[0])
        self.assertEqual((row["predicted_us"], row["layer_us"]), (2300, 1100))
        self.assertEqual(row["verdict"], "beyond")
        self.assertEqual(self.row(configs.HEADLINE[1])["verdict"], "must")
        self.assertEqual(self.row(configs.HEADLINE[2])["verdict"], "aim")

    def test_of_the_maps_only_what_makes_them_counts(self):
        row = self.row(configs.HEADLINE[9])
        self.assertEqual([op["op"] for op in row["ops"]], ["route_permute"])
        self.assertEqual((row["predicted_us"], row["verdict"]), (100, "beyond"))


if __name__ == "__main__":
    unittest.main()
