"""Rehearsals of what can go wrong: `python -m doorman.sandbox.rehearsals NAME`; see `docs/runbook.md`."""
