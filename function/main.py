"""What functions-framework loads: the functions of the package `doorman` beside this file, and nothing else."""

import sys
from pathlib import Path

_HERE = str(Path(__file__).resolve().parent)
# The framework only appends this folder: another package by that name, installed somewhere, would win.
sys.path.insert(0, _HERE)

import doorman  # noqa: E402 - the path comes first

if str(Path(doorman.__file__ or "").resolve().parents[1]) != _HERE:
    raise SystemExit(f"doorman: another package of that name was loaded, {doorman.__file__}: uninstall it")

from doorman.functions import check_job, functiongraph, notify, sweep, triage  # noqa: E402

__all__ = ["check_job", "functiongraph", "notify", "sweep", "triage"]
