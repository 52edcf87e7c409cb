"""The short form of the storm in which everything fails now and then; `tests/chaos/storm.py` plays the long one."""

from tests.chaos.storm import play


def test_a_storm_of_faults_ends_well() -> None:
    """No share is lost, none is settled against the policy, no outcome is untrue, and nothing is left undelivered."""
    verdict = play(seed=20, shares=200, kills=2, rate=0.2)
    assert verdict.faults == []
    assert verdict.struck > 0
