"""Tests of how the framework's server is tuned."""

import builtins
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from uvicorn_worker import UvicornWorker

from doorman.runtime.tuning import KEEP_ALIVE, YOUNG, tune_collector, tune_server


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin with an untuned server, whoever tuned it before, and leave server and collector as they were."""
    monkeypatch.setattr(UvicornWorker, "CONFIG_KWARGS", {"loop": "auto", "http": "auto"})
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_the_servers_patience_outlasts_its_callers() -> None:
    """The worker that gunicorn starts keeps idle connections for as long as we say, not for its own two seconds."""
    tune_server()
    settings = Config()
    worker = UvicornWorker(0, 0, [], None, 0, settings, Logger(settings))
    assert (settings.keepalive, worker.config.timeout_keep_alive) == (2, KEEP_ALIVE)
    assert (worker.config.loop, worker.config.http) == ("auto", "auto")
    assert not worker.config.proxy_headers
    worker.tmp.close()


def test_the_collector_spares_what_never_dies() -> None:
    """What is there when the framework has loaded the functions is looked at no more, young objects less often."""
    tune_collector()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] == YOUNG


def test_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no gunicorn, functions-framework serves in its own way, and nothing breaks."""
    real = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name == "uvicorn_worker":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    tune_server()
    assert "timeout_keep_alive" not in UvicornWorker.CONFIG_KWARGS
