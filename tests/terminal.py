"""A terminal for programs to run on: as wide as asked, and what stands there at the end without styles and links."""

import io
import os
import pty
import re
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

SCREEN = 50  # lines


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


def show(
    command: Sequence[str | Path],
    *,
    environ: Mapping[str, str],
    width: int = 80,
    cwd: Path | None = None,
    is_bare: bool = True,
) -> tuple[int, str]:
    """Run a program on a terminal of `width` columns: its exit code, and what stands there; `is_bare`: no styles."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (SCREEN, width))
    settings = {"TERM": "xterm-256color", **environ}
    with subprocess.Popen(command, cwd=cwd, env=settings, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # which is how Linux says that nobody writes any more
            while read := os.read(ours, 65_536):
                written += read
        os.close(ours)
    left = re.sub(r"[^\n]*\r\x1b\[K|\x1b\]8;.*?\x1b\\|\r", "", written.decode())  # such as lines of progress
    return process.wait(180), re.sub(r"\x1b\[[0-9;]*m", "", left) if is_bare else left
