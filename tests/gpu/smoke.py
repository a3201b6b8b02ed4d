"""Look at what each framework says of a device: settings, precision, events, memory. Prints a line for each finding.

    python tests/gpu/smoke.py FOLDER [--device cuda] [--backend torch,cupy,jax]

Each framework is opened in a process of its own, as a worker of a run would open it. ``FOLDER/smoke.jsonl`` has a line
for each finding as soon as it is known, ``FOLDER/here.txt`` the backends that are here. Exit 1 where something FAILs.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

PASS, FAIL, NOTE, UNAVAILABLE = "PASS", "FAIL", "NOTE", "UNAVAILABLE"

SIDE = 256
"""Of the product whose precision is looked at."""
SINGLE = 4e-6
"""Root mean square of its error over Σ|a||b|: below 1e-6 in float32 (√256 · 2⁻²⁴), near 4e-5 with TensorFloat-32."""
ENTRIES = 2**24
"""Entries of the float32 array whose memory is looked for."""
EVENT_SIDE, EVENT_CALLS = 4096, 20
"""Of the products that events time: some 50 ms on a large GPU."""
PATIENCE_S = 60.0


def look(arguments):
    """Open a framework and yield what is found; the side of its worker."""
    import numpy as np

    from multigrad.backend import Unavailable, backend

    try:
        session = backend(arguments["backend"]).open(arguments["device"], threads=1, precision=arguments["precision"])
        session.wait((session.to_device(np.ones(2), "float32"),))
    except Unavailable as error:
        yield {"what": "opens", "verdict": UNAVAILABLE, "found": str(error)}
        return
    yield {"what": "opens", "verdict": PASS, "found": f"{session.device_name}"}
    looks = (settings, precision, events, memory) if arguments["precision"] == "strict" else (precision,)
    for one in looks:
        try:
            verdict, found = one(session, arguments["precision"])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            verdict, found = FAIL, f"{type(error).__name__}: {error}"
        yield {"what": one.__name__, "verdict": verdict, "found": found}


def settings(session, wanted):
    """Say what the framework says of itself."""
    return PASS, json.dumps(dict(session.settings()), default=str)


def precision(session, wanted):
    """Hold a float32 product against a float64 one."""
    import numpy as np

    a, b = np.random.default_rng(0).standard_normal((2, SIDE, SIDE)).astype(np.float32)
    product = session.to_numpy(session.to_device(a, "float32") @ session.to_device(b, "float32"))
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = float(np.sqrt(np.mean(((product - exact) / (np.abs(a) @ np.abs(b))) ** 2)))
    said = f"{wanted}: a float32 product is off by {error:.1e} of its terms, which is that of "
    single = error < SINGLE
    if wanted == "strict":
        return (PASS if single else FAIL), said + ("float32" if single else "TensorFloat-32 or less")
    return (NOTE if single else PASS), said + ("float32: nothing narrower here" if single else "TensorFloat-32")


def events(session, wanted):
    """Hold the device's events against the host's clock."""
    import numpy as np

    if session.events(lambda: None) is None:
        return NOTE, "none"
    ones = session.to_device(np.ones((EVENT_SIDE, EVENT_SIDE)), "float32")
    session.wait((ones @ ones,))
    kept = []

    def products():
        for _ in range(EVENT_CALLS):
            kept.append(ones @ ones)
            del kept[:-1]

    start = time.perf_counter()
    device_s = session.events(products)
    session.wait(kept)
    host_s = time.perf_counter() - start
    good = 0.7 * host_s <= device_s <= 1.02 * host_s
    return (PASS if good else FAIL), f"{1e3 * device_s:.2f} ms by events, {1e3 * host_s:.2f} ms by the host's clock"


def memory(session, wanted):
    """Look for the peak of two arrays whose size is known."""
    import numpy as np

    one = session.to_device(np.zeros(ENTRIES, dtype=np.float32), "float32")
    session.wait((one,))
    session.reset_peak_memory()
    two = one + 1
    session.wait((two,))
    peak, known = session.peak_memory(), 2 * 4 * ENTRIES
    if peak is None:
        return NOTE, "no peak that can be reset: only the process has one"
    good = known <= peak <= 1.1 * known
    return (PASS if good else FAIL), f"peak {peak} bytes, {known} of them known"


def main():
    """Look at every framework, one after the other."""
    from multigrad.backend import backend
    from multigrad.process.child import Death, run

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--backend", default="torch,cupy,jax")
    given = parser.parse_args()
    here, failed = [], False
    with (given.folder / "smoke.jsonl").open("w", encoding="utf-8") as file:

        def tell(**finding):
            file.write(json.dumps(finding) + "\n")
            file.flush()
            print(f"{finding['verdict']:12} {finding['backend']:8} {finding['what']:10} {finding['found']}", flush=True)
            return finding["verdict"] == FAIL

        tell(backend="", what="python", verdict=PASS, found=f"{platform.python_version()} on {platform.platform()}")
        for name in given.backend.split(","):
            one = backend(name)
            if reason := one.missing(given.device):
                tell(backend=name, what="opens", verdict=UNAVAILABLE, found=reason)
                continue
            tell(backend=name, what="version", verdict=PASS, found=one.version())
            for allowed in ("strict", "tf32"):
                arguments = {"backend": name, "device": given.device, "precision": allowed}
                environment = one.environment(given.device, 1, allowed)
                for said in run("tests.gpu.smoke:look", arguments, environment=environment, timeout_s=PATIENCE_S):
                    if isinstance(said, Death):
                        said = {"what": "lives", "verdict": FAIL, "found": said.reason}
                    failed |= tell(backend=name, **said)
                    if said["what"] == "opens" and said["verdict"] == PASS and name not in here:
                        here.append(name)
    (given.folder / "here.txt").write_text(",".join(here) + "\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
