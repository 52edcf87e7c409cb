"""Tunes the server that functions-framework starts, which has no options of its own for it.

Both once, before the framework forks the process that serves: the collector last, when what it shall spare is there.
"""

import contextlib
import gc

KEEP_ALIVE = 120
"""Seconds that the server keeps an idle connection.

Longer than callers do (Go's 90 s, Vert.x' 60 s), so that none sends an event into a connection that is being closed,
which would burn one of its retries. The framework's own 2 s are shorter than any.
"""

YOUNG = 50_000
"""Objects made before the garbage collector looks at the young ones: with its 700 it would look many times in a batch.

An event leaves no cycles behind, so that hardly anything waits for the collector.
"""


def tune_server() -> None:
    """Keep connections, and leave out what nobody asks for; loads the server, which would be loaded next anyway."""
    with contextlib.suppress(ImportError):  # no gunicorn, no worker: with --debug, and on Windows
        from uvicorn_worker import UvicornWorker  # noqa: PLC0415 - it may be missing

        left_out = {"proxy_headers": False, "server_header": False, "ws": "none", "lifespan": "off"}
        UvicornWorker.CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "timeout_keep_alive": KEEP_ALIVE, **left_out}


def tune_collector() -> None:
    """Let the collector spare what is there now and never dies.

    Frozen objects are not written to by the collector either, so that the process forked off shares their memory.
    """
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    gc.freeze()
    gc.enable()
