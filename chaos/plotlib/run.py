"""The results of a run, arranged by time. Pure: nothing here draws."""

import math
import re
from collections import defaultdict

SHORT = ("new", "get")


def quantile(values, share):
    """The smallest value that at least this share of all do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered), max(1, math.ceil(share * len(ordered)))) - 1]


def seconds_of(text):
    """300ms, 2s, 1m as seconds; None for anything else."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    return int(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]] if match else None


class Run:
    """Times are seconds since the traffic was complete."""

    def __init__(self, results):
        evidence = results["evidence"]
        self.name = results["scenario"]["name"]
        self.title = results["scenario"]["title"]
        self.seed = results["seed"]
        self.date = results["date"]
        self.machine = results.get("machine", {}).get("description", "")
        self.verdicts = results["verdicts"]
        self.began = evidence["began"]
        self.healed = evidence["healed"] - self.began
        self.length = max(1.0, evidence["ended"] - self.began)
        self.faults = [self._fault(fault) for fault in evidence["faults"]]
        self.views = evidence["views"]
        self.lives = evidence["lives"]
        # Seconds are drawn as they are in short runs, in groups of several in long ones.
        self.step = max(1, int(self.length // 600))
        self._observations = evidence["observations"]
        self._control = evidence["control"]

    def _fault(self, fault):
        there = fault["there"] - self.began
        return {
            "action": fault["action"],
            "victims": fault["victims"],
            "there": there,
            "ended": (fault["ended"] - self.began) if fault.get("ended") is not None else there,
        }

    def time(self, observation):
        return observation["t"] - self.began

    def _slot(self, observation):
        return int(self.time(observation) // self.step)

    @property
    def broken(self):
        return [verdict["promise"] for verdict in self.verdicts if verdict["outcome"] == "broken"]

    @property
    def void(self):
        return [verdict["promise"] for verdict in self.verdicts if verdict["outcome"] == "void"]

    def limits(self, prefix):
        """The times that promises such as slowest_new give, with their text."""
        found = []
        for verdict in self.verdicts:
            key, _, value = verdict["promise"].partition(": ")
            limit = seconds_of(value)
            if limit is not None and key.startswith(prefix):
                found.append((verdict["promise"], limit, verdict["outcome"]))
        return found

    # ---- who led ----

    def leaders(self):
        """(server, from, until) for each stretch in which views named one leader; a server of None is a gap."""
        stretches = []
        for view in self.views:
            time = view["t"] - self.began
            if not 0 <= time <= self.length:
                continue
            leading = [s for s in view["servers"] if s["role"] in ("leader", "single")]
            leader = max(leading, key=lambda s: s["term"])["name"] if leading else None
            if stretches and stretches[-1][0] == leader:
                stretches[-1][2] = time
            else:
                if stretches:
                    stretches[-1][2] = time
                stretches.append([leader, time, time])
        if stretches:
            stretches[-1][2] = self.length
        return [tuple(stretch) for stretch in stretches]

    def servers(self):
        return sorted({server["name"] for view in self.views for server in view["servers"]})

    # ---- requests ----

    def availability(self):
        """By client: [(time, share answered, number failed)] for each step."""
        counts = defaultdict(lambda: defaultdict(lambda: [0, 0]))
        for o in self._observations:
            if o["kind"] in SHORT and o["what"] in ("done", "failed") and self.time(o) >= 0:
                counts[o["who"]][self._slot(o)][o["what"] == "failed"] += 1
        return {
            who: [(slot * self.step, done / (done + failed), failed) for slot, (done, failed) in sorted(slots.items())]
            for who, slots in sorted(counts.items())
        }

    def latencies(self, kind, control=False):
        """[(time, p50, p99, slowest)] in seconds for each step."""
        times = defaultdict(list)
        for o in self._control if control else self._observations:
            if o["kind"] == kind and o["what"] == "done" and self.time(o) >= 0:
                times[self._slot(o)].append(o["took"])
        return [
            (slot * self.step, quantile(values, 0.5), quantile(values, 0.99), max(values))
            for slot, values in sorted(times.items())
        ]

    # ---- long streams ----

    def streams(self):
        """(open streams by time, times of broken ones)."""
        change = defaultdict(int)
        broken = []
        opened = 0
        for o in self._observations:
            if o["kind"] not in ("watch", "exec"):
                continue
            time = self.time(o)
            if o["what"] == "opened":
                if time < 0:
                    opened += 1
                else:
                    change[time + o.get("took", 0)] += 1
            elif o["what"] == "ended":
                if time < 0:
                    opened -= 1
                else:
                    change[time] -= 1
                    broken.append(time)
        line = [(0.0, opened)]
        for time in sorted(change):
            opened += change[time]
            line.append((time, opened))
        line.append((self.length, opened))
        return line, broken

    def lateness(self):
        """[(time, how late the latest event of a watch came)] for each step, in seconds."""
        latest = defaultdict(float)
        for o in self._observations:
            if o["kind"] == "watch" and o["what"] == "flow" and self.time(o) >= 0:
                latest[self._slot(o)] = max(latest[self._slot(o)], o.get("took", 0.0))
        return [(slot * self.step, value) for slot, value in sorted(latest.items())]

    def harms(self):
        return [(self.time(o), o.get("harm", "")) for o in self._observations if o["what"] == "harm"]
