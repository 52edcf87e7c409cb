"""Builds the image's file tree with the Containerfile's own steps, each in a chroot that holds Python and little else.

Stands in for `FROM` and for the builder: what the base image brings is taken from this machine. Needs Linux and root.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template

import pip

PROJECT = Path(__file__).resolve().parents[2]
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("sh", "chmod", "groupadd", "useradd")
"""What the steps call besides Python."""
HOST_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs/ca-certificates.crt")
"""How the installer finds its registry."""
BASE_LIBRARIES = (
    *("libgcc_s.so.1", "libstdc++.so.6"),
    *("libdl.so.2", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libutil.so.1"),
    *("libnss_dns.so.2", "libnss_files.so.2"),
)
"""What every Debian image has and wheels may count on: the C and C++ run time."""
_INSTRUCTION = re.compile(r"(?m)^([A-Z]+) ((?:.*\\\n)*.*)$")


def build(root: Path) -> tuple[Path, dict[str, str]]:
    """Do what every stage does, below `root`; give the last stage's tree and the environment that it sets."""
    stages: dict[str, Path] = {}
    arguments: dict[str, str] = {}
    environment: dict[str, str] = {}
    stage, workdir = root, "/"
    for word, text in _INSTRUCTION.findall((PROJECT / "Containerfile").read_text("utf-8")):
        rest = Template(text).safe_substitute(arguments)
        if word == "ARG":
            name, _, default = rest.partition("=")
            arguments[name] = default
        elif word == "FROM":
            stage, workdir = root / (rest.partition(" AS ")[2] or "image"), "/"
            stages[stage.name] = stage
            lay_base(stage)
        elif word == "WORKDIR":
            workdir = rest
            (stage / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            copy(rest.split(), stages=stages, to=stage, workdir=workdir)
        elif word == "RUN":
            run_step(rest.replace("\\\n", ""), stage, workdir)
        elif word == "ENV":
            environment |= dict(pair.split("=", 1) for pair in rest.split())
    return stage, environment


def lay_base(root: Path) -> None:
    """Put a Python with its standard library and pip, a shell and an empty user data base below `root`."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    binary = Path(sys.base_prefix, "bin", version).resolve()
    library = root / "usr/local/lib" / version
    skip = shutil.ignore_patterns("__pycache__", "test", "tests", "site-packages", "config-*", "idlelib", "lib2to3")
    shutil.copytree(sysconfig.get_path("stdlib", vars={"base": sys.base_prefix}), library, ignore=skip)
    for part in Path(pip.__file__).parent.parent.glob("pip*"):
        if part.name == "pip" or part.name.startswith("pip-"):
            shutil.copytree(part, library / "site-packages" / part.name, ignore=skip)
    place(binary, root / "usr/local/bin/python")
    for tool in TOOLS:
        place(Path(shutil.which(tool, path="/usr/bin:/bin:/usr/sbin:/sbin") or tool), root / "bin" / tool)
    known = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    for needed in re.findall(rf"(?m)^\t(?:{'|'.join(map(re.escape, BASE_LIBRARIES))}) .* => (\S+)$", known):
        place(Path(needed), root / needed.lstrip("/"))
    for needed in libraries([binary, *map(Path, (root / "bin").iterdir()), *library.rglob("*.so")]):
        place(needed, root / str(needed).lstrip("/"))
    for file in HOST_FILES:
        place(Path(file), root / file.lstrip("/"))
    for name, text in {
        "passwd": "root:x:0:0::/:/bin/sh\n",
        "group": "root:x:0:\n",
        "login.defs": "",
        "shells": "",
    }.items():
        (root / "etc" / name).write_text(text)
    for folder in ("tmp", "dev", "proc", "usr/local/bin"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (root / "dev/null").chmod(0o666)


def libraries(binaries: Iterable[Path]) -> Iterator[Path]:
    """Give the shared libraries that `binaries` need, the loader included."""
    told = subprocess.run(["ldd", *binaries], check=False, capture_output=True, text=True).stdout
    yield from {Path(path) for path in re.findall(r"(?m)(?:=> |^\t)(/\S+) \(", told)}


def place(file: Path, to: Path) -> None:
    """Copy a file that links lead to, where it is not there yet."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not to.exists():
        shutil.copy2(file.resolve(), to)


def copy(words: list[str], *, stages: dict[str, Path], to: Path, workdir: str) -> None:
    """Do a COPY of one source, from the project or from another stage."""
    source_root = PROJECT
    if words[0].startswith("--from="):
        source_root = stages[words.pop(0).removeprefix("--from=")]
    source, target = source_root / words[0].lstrip("/"), to / workdir.lstrip("/")
    target = to / words[1].lstrip("/") if words[1].startswith("/") else target / words[1]
    if source.is_dir():
        skip = ignored if source_root == PROJECT else None
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=skip)
    else:
        place(source, target / source.name if words[1].endswith(("/", ".")) else target)


def ignored(folder: str, names: list[str]) -> list[str]:
    """Give those of `names` that .containerignore keeps out of what is copied: its lines with a name or a path."""
    lines = (PROJECT / ".containerignore").read_text("utf-8").splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line[:1] not in ("", "#", "!", "*") or line[:3] == "**/"]
    below = Path(folder).relative_to(PROJECT)
    return [name for name in names if name in patterns or str(below / name) in patterns]


def run_step(step: str, root: Path, workdir: str) -> None:
    """Do a RUN as the builder would, with the tree as its whole world."""
    network = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    command = ["chroot", str(root), "/bin/sh", "-c", f"cd {workdir} && {step}"]
    subprocess.run(command, check=True, env={**network, "PATH": PATH, "HOME": "/root", "PIP_CERT": HOST_FILES[-1]})
