"""Break downloads in every way we could think of, and count what is lost or half-written.

``python tests/benchmarks/bench_faults.py`` prints a table; everything is on this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # `tests` is not installed

from galsim_hub import cache
from galsim_hub.errors import CorruptedModuleError
from galsim_hub.fetch import fetch
from galsim_hub.index import parse_index
from galsim_hub.mirrors import Patience
from galsim_hub.safety import pack
from galsim_hub.spec import read_spec
from tests.hub.conftest import publish, same_files
from tests.servers import certify, serve

QUICK = Patience(rounds=4, first_wait=0.01, timeout=0.5)
FAULTS = ("status 403", "status 500", "status 503", "truncate", "stall", "wrong", "longer", "gzip",
          "redirect http://127.0.0.1:9/x")  # fmt: skip

# Forks a process a request, so that it can be killed at a known moment of the download itself and
# not of Python's start. It has no threads, and so may fork.
NURSERY = """
import json, os, resource, signal, sys
from dataclasses import replace
from pathlib import Path
import filelock, jsonschema, requests
from galsim_hub.errors import CacheError
from galsim_hub.fetch import fetch
from galsim_hub.index import parse_index

def work(index, place, mirror, limit, user, cache):
    os.environ["GALSIM_HUB_CACHE"] = cache
    release = parse_index(Path(index).read_bytes(), place).releases[0]
    if mirror:
        release = replace(release, urls=(mirror,))
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if user:
        os.setuid(user)
    try:
        fetch(release)
    except CacheError:
        return 3
    return 0

print("ready", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        print(os.waitpid(request["wait"], 0)[1], flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work(**request)
        finally:
            os._exit(code)
    print(pid, flush=True)
"""


class Bench:
    """Hold a published module, its server, and an empty cache a trial."""

    def __init__(self, folder, address, behaviour, nursery):
        self.folder, self.address, self.behaviour = folder, address, behaviour
        self._nursery = nursery
        self.root = folder / "published"
        self.published = self.root / "small" / "1"
        self.place = f"{address}/index.json"
        self.release = parse_index((self.root / "index.json").read_bytes(), self.place).releases[0]
        self._trials = 0

    def empty_cache(self):
        """Begin a trial."""
        self._trials += 1
        os.environ["GALSIM_HUB_CACHE"] = str(self.folder / f"cache{self._trials}")
        self.behaviour.faults, self.behaviour.always = [], None
        self.behaviour.requests.clear()

    def start(self, *, mirror="", limit=0, user=0):
        """Start a process that fetches the module; return its id."""
        return self._ask(
            index=str(self.root / "index.json"), place=self.place, mirror=mirror,
            limit=int(limit), user=user, cache=str(cache.cache_root()),
        )  # fmt: skip

    def finish(self, pid):
        """Wait for a process; return its exit code, negative if it was killed."""
        return os.waitstatus_to_exitcode(self._ask(wait=pid))

    def _ask(self, **request):
        self._nursery.stdin.write(json.dumps(request) + "\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())

    def is_sound(self):
        """Tell whether the cache holds the whole module or says that it does not."""
        found = cache.find(self.release.sha256)
        return found is None or same_files(found, self.published)

    def recovers(self):
        """Tell whether the module can be had after all."""
        return same_files(fetch(self.release, QUICK), self.published)


@contextlib.contextmanager
def bench():
    """Publish a module of some megabytes and serve it."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # another user reads it in one of the trials
        authority, certificate = certify(folder)
        os.environ["REQUESTS_CA_BUNDLE"] = str(authority)
        os.environ.pop("GALSIM_HUB_OFFLINE", None)
        publish(folder / "published")
        pack(folder / "published" / "small" / "1", folder / "published" / "small-1.tar.gz")
        try:
            with (
                serve(folder / "published", certificate) as (address, behaviour),
                subprocess.Popen(
                    [sys.executable, "-c", NURSERY], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                ) as nursery,
            ):  # fmt: skip
                assert nursery.stdout.readline() == "ready\n"
                yield Bench(folder, address, behaviour, nursery)
                nursery.stdin.close()
        finally:
            os.environ.clear()
            os.environ.update(before)


def kill(bench, n):
    """Kill -9 at random moments of a slow download, half of them of an archive to unpack."""
    good, n_killed, rng = 0, 0, random.Random(1)
    longest = [_time_of_a_download(bench, mirror) for mirror in _kinds(bench)]
    for trial in range(20 * n):
        kind = trial % 2
        bench.empty_cache()
        bench.behaviour.always = "slow"
        pid = bench.start(mirror=_kinds(bench)[kind])
        time.sleep(rng.uniform(0, longest[kind]))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        was_killed = bench.finish(pid) == -signal.SIGKILL
        bench.behaviour.always = None
        is_good = bench.is_sound() and bench.recovers()
        n_killed += was_killed
        good += was_killed and is_good
        if n_killed == n or not is_good:
            break
    return good, n


def _kinds(bench):
    return "", f"{bench.address}/small-1.tar.gz"


def _time_of_a_download(bench, mirror):
    bench.empty_cache()
    bench.behaviour.always = "slow"
    start = time.monotonic()
    assert bench.finish(bench.start(mirror=mirror)) == 0
    return time.monotonic() - start


def disk_full(bench, n):
    """Let no file grow beyond a size, as on a full disk; then lift the limit."""
    good = 0
    for limit in np.linspace(10, 90_000, n, dtype=int):
        bench.empty_cache()
        code = bench.finish(bench.start(limit=limit))
        partial = cache.partial_folder(bench.release.sha256)
        good += code == 3 and not partial.exists() and bench.recovers()
    return good, n


def read_only(bench, n):
    """Fetch into a folder of somebody else's; then use what somebody else has put there."""
    if os.getuid() != 0:
        return 0, 0  # only root can become somebody else
    good = 0
    for _ in range(n):
        bench.empty_cache()
        cache.cache_root().mkdir()
        refused = bench.finish(bench.start(user=65534))
        recovered = bench.recovers()
        reader = bench.finish(bench.start(user=65534))
        good += (refused, reader, recovered) == (3, 0, True)
    return good, n


def servers(bench, n):
    """Let the server fail in each way for a few requests, then recover."""
    good, rng = 0, random.Random(2)
    for trial in range(n):
        bench.empty_cache()
        fault = FAULTS[trial % len(FAULTS)]
        bench.behaviour.faults = [None] * rng.randrange(3) + [fault] * rng.randint(1, 3)
        good += bench.recovers() and bench.is_sound()
    return good, n


def concurrent(bench, n):
    """Ask from eight processes at once; each file must be sent once."""
    good = 0
    for _ in range(n):
        bench.empty_cache()
        bench.behaviour.always = "slow"
        codes = [bench.finish(pid) for pid in [bench.start() for _ in range(8)]]
        once = len(bench.behaviour.requests) == len(bench.release.files)
        good += once and codes == [0] * 8 and bench.is_sound()
    return good, n


def clock(bench, n):
    """Let every file, finished or not, be from the future, as after the clock was set back."""
    good = 0
    for _ in range(n):
        bench.empty_cache()
        fetch(bench.release, QUICK)
        partial = cache.partial_folder(bench.release.sha256)
        partial.mkdir(parents=True)
        for path in cache.cache_root().rglob("*"):
            os.utime(path, (time.time() + 3e8,) * 2)
        found = cache.find(bench.release.sha256)
        good += found is not None and same_files(found, bench.published) and bench.recovers()
    return good, n


def flipped(bench, n):
    """Flip one bit of a module in the cache: seen at once, or, with its time kept, on loading."""
    good, rng = 0, random.Random(3)
    for trial in range(n):
        bench.empty_cache()
        folder = fetch(bench.release, QUICK)
        path = folder / rng.choice(["saved_model.pb", "variables/variables.index"])
        status, content = path.stat(), bytearray(path.read_bytes())
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        if trial % 2:
            good += cache.find(bench.release.sha256) is None and bench.recovers()
        else:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            try:
                read_spec(folder).verify(folder)  # what load_engine does
            except CorruptedModuleError:
                good += 1
    return good, n


def suite(file, name, cases="60"):
    """Run a file of the test suite and count what passes."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", file, "-k", name, f"--junit-xml={report}"],
            cwd=ROOT, stdout=subprocess.DEVNULL, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT), "GALSIM_HUB_FUZZ_CASES": cases},
        )  # fmt: skip
        result = ElementTree.parse(report).getroot().find("testsuite").attrib
    n = int(result["tests"])
    return n - int(result["failures"]) - int(result["errors"]), n


ROWS = {
    "kill -9 at a random moment of download or unpacking": (kill, 50),
    "disk full (no file may grow beyond a size)": (disk_full, 10),
    "cache of another user: no writing, but reading": (read_only, 2),
    "server fails (403, 500, 503, truncated, stalled, wrong bytes, ...), then recovers":
        (servers, 45),
    "8 processes at once: every file sent once": (concurrent, 5),
    "clock set back": (clock, 5),
    "one bit flipped in the cache": (flipped, 50),
}  # fmt: skip


def main():
    """Print the table."""
    print("| fault | trials | survived |\n|---|---|---|")
    with bench() as broken:
        for label, (trial, n) in ROWS.items():
            good, n_done = trial(broken, n)
            print(f"| {label} | {n_done} | {good} |", flush=True)
    for label, file, name in (
        ("hostile archives refused", "tests/hub/test_safety.py", "refused"),
        ("hostile graphs refused", "tests/hub/test_graph.py", "refused"),
    ):
        good, n_done = suite(file, name)
        print(f"| {label} | {n_done} | {good} |", flush=True)
    good, n_done = suite("tests/hub/test_hostile_texts.py", "read_or_refused or any_bytes", "500")
    print(f"| fuzzed cards and indexes, 500 cases a test | {500 * n_done} | {500 * good} |")


if __name__ == "__main__":
    main()
