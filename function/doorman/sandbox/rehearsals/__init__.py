"""Rehearsals of what can go wrong: `python -m sandbox.rehearsals NAME`; `docs/runbook.md` tells what each shows."""
