"""Every rehearsal is seen to end as the runbook says, with real commands in processes of their own."""

import pytest

from sandbox.rehearsals.__main__ import main


@pytest.mark.parametrize("words", [("killed", "--times", "2")], ids=lambda words: words[0])
def test_its_end_is_seen(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says so, and so does every line about a fact."""
    assert main([*words]) == 0
    told = capsys.readouterr().out
    assert "seen:" in told
    assert "NOT SEEN" not in told
