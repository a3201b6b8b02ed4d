"""The command line: its commands, in the order of the help, and ``main``.

Nothing heavy is imported to print help: each command imports what it needs.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from multigrad.process.entry import entry_point

from . import bench, check, compare, inventory, report, run, streams
from .exits import DEBUG, GOOD, code_of, refuse

app = typer.Typer(
    name="multigrad",
    help="Write a gradient once, prove it, run it on every array framework, see what it costs.",
    epilog="Exit codes: 0 good, 1 a correctness failure, 2 a regression, 3 bad usage or unreadable data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for name, command, example in (
    ("list", inventory.list_, ""),
    ("check", check.check, "my_gradient.py --backend numpy,torch --dtype float32"),
    ("verify", check.verify, "out.json"),
    ("bench", bench.bench, "relu_regression --backend numpy,torch --dtype float32 --size large"),
    ("report", report.report, "results/my-machine/20261120-150000-ab12"),
    ("docs", report.docs, "--check"),
    ("compare", compare.compare, "results/mine/20261120-150000-ab12 results/mine/20261120-160000-cd34"),
    ("run", run.run, "--quick"),
    ("merge", compare.merge, "results/atlas/RUN results/borea/RUN --out results/both"),
    ("doctor", inventory.doctor, ""),
):
    app.command(name, epilog=f"Example: multigrad {name} {example}".rstrip())(command)


@app.callback()
def common(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an internal error.")] = False,
) -> None:
    """Write a gradient once, prove it, run it on every array framework, see what it costs."""


@entry_point(lambda: None)
def main() -> None:
    """Run the command line and exit with the documented code."""
    # A reader that has gone (`| head`) is no error of ours.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    streams.open_all()
    words = sys.argv[1:]
    code = code_of(app, [word for word in words if word != DEBUG], debug=DEBUG in words)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or refuse(f"standard output: {error.strerror or error}")
        streams.give_up()
    sys.exit(code or GOOD)
