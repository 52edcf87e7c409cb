"""Proves of the image what can be proven without a container engine; run by `make test-container`, as root on Linux.

The tree is built by the Containerfile's own steps. Then each function is started in it as a cluster would: the tree as
read-only root, user and group 1003, nothing but /tmp to write to, and the event in flight outlives SIGTERM.
"""

import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import listening
from tests.container.running import Proof, must
from tests.container.tree import PROJECT, build

ME, OWNER = "receiver", "owner"
POLICY = f"version: 1\ndefault: hold\nrules:\n  - {{name: golden, owners: [{OWNER}], decision: accept}}\n"
JOB_SECONDS = 3.0


def main() -> int:
    """Build, prove, and print what was seen; 1 where something does not hold."""
    if os.geteuid() != 0 or sys.platform != "linux":
        sys.stdout.write("not proven: needs Linux and root, for a chroot and a read-only root\n")
        return 0
    tree = PROJECT / ".cache" / "container"
    shutil.rmtree(tree, ignore_errors=True)
    start = time.perf_counter()
    proof = Proof(*build(tree))
    _say(f"built the tree in {time.perf_counter() - start:.1f} s on Python {sys.version.split()[0]}")
    prove_content(proof)
    prove_read_only(proof)
    cloud = Cloud()
    cloud.add_user("doorman", "secret", [ME])
    with serve(create_app(cloud)) as url, listening() as (sink, taken):
        mount_files(proof, url)
        told = {"K_SINK": sink, "DOORMAN_MODE": "enforce"}
        environments = {target: variables | told for target, variables in read_template().items()}
        prove_starts(proof, environments)
        prove_sigterm(proof, environments["check_job"], cloud, taken)
    _say("the image holds what it promises")
    return 0


def read_template() -> dict[str, dict[str, str]]:
    """Give the environment of each function as template.yaml sets it; FunctionGraph's is that of triage."""
    documents = yaml.safe_load_all((PROJECT / "template.yaml").read_text("utf-8"))
    services = [each for each in documents if each["apiVersion"].startswith("serving.")]
    containers = [each["spec"]["template"]["spec"]["containers"][0] for each in services]
    found = {each["args"][3]: {one["name"]: one["value"] for one in each["env"]} for each in containers}
    return {**found, "functiongraph": found["triage"]}


def mount_files(proof: Proof, url: str) -> None:
    """Put the policy and the credentials where the template mounts them."""
    login = {"username": "doorman", "password": "secret", "user_domain_name": "Default"}
    cloud = {"auth": {"auth_url": f"{url}/identity/v3", "project_id": ME, **login}, "region_name": "eu-de"}
    files = {"doorman/policy.yaml": POLICY, "openstack/clouds.yaml": yaml.safe_dump({"clouds": {"doorman": cloud}})}
    for name, text in files.items():
        (proof.root / "etc" / name).parent.mkdir()
        (proof.root / "etc" / name).write_text(text)


def prove_content(proof: Proof) -> None:
    """Only the pinned dependencies are there, and the command works."""
    pinned = set(re.findall(r"(?m)^([a-z0-9-]+)==", (PROJECT / "requirements.txt").read_text("utf-8")))
    code = "from importlib.metadata import distributions as d; print(*sorted(x.name for x in d()))"
    found = {name.lower().replace("_", "-") for name in proof.run("python", "-c", code).split()}
    must(found == pinned, f"installed and pinned differ: {sorted(found ^ pinned)}")
    version = proof.run("doorman", "--version").strip()
    must(re.fullmatch(r"doorman \d+\.\d+\.\d+", version) is not None, f"doorman --version says {version!r}")
    library = next(proof.root.glob("usr/local/lib/python3.*"))
    ours = {
        "dependencies": library / "site-packages",
        "function/": proof.root / "app/function",
        "Python itself": library,
    }
    sizes = {name: _size(path) for name, path in ours.items()}
    sizes["Python itself"] -= sizes["dependencies"]
    _say(f"{len(found)} distributions, as pinned; {version}; MB: " + _list({k: v / 1e6 for k, v in sizes.items()}))
    uncompiled = [path for path in (proof.root / "app").rglob("*.py") if not any(_bytecode(path))]
    must(not uncompiled, f"without bytecode: {uncompiled}")
    must(not list((proof.root / "app").rglob("sandbox")), "the sandbox is in the image")


def prove_read_only(proof: Proof) -> None:
    """Nothing can be written but below /tmp, by a user who is nobody else."""
    code = """
import os
from pathlib import Path
from typing import Any
def attempt(path):
    try:
        Path(path).write_text("x")
    except OSError as error:
        return os.strerror(error.errno)
    return "written"
places = ("/x", "/app/function/x.py", "/usr/local/lib/x", "/tmp/x")
print(os.getuid(), os.getgid(), os.getgroups(), *map(attempt, places), sep=", ")
"""
    told = proof.run("python", "-c", code).strip()
    no = "Read-only file system"
    must(told == f"1003, 1003, [], {no}, {no}, {no}, written", f"inside the tree: {told}")
    _say(f"inside the tree (uid, gid, groups; /, /app, /usr, /tmp): {told}")


def prove_starts(proof: Proof, environments: dict[str, dict[str, str]]) -> None:
    """All four functions start, answer their probe without running, and end with 0."""
    for target, environment in environments.items():
        with proof.function(target, environment) as (url, process, seconds):
            must(httpx.get(f"{url}/healthz").status_code == 200, f"{target}: no answer on /healthz")
            status = Path(f"/proc/{process.pid}/status").read_text()
            ids = re.findall(r"(?m)^[UG]id:\t(.*)$", status)
            must(ids == ["1003\t1003\t1003\t1003"] * 2, f"{target}: runs as {ids}")
        must(process.returncode == 0, f"{target}: exit code {process.returncode} after SIGTERM")
        _say(f"{target}: ready after {seconds:.2f} s, uid 1003, exit code 0")


def prove_sigterm(proof: Proof, environment: dict[str, str], cloud: Cloud, taken: list[tuple[str, Any]]) -> None:
    """A check that waits for its job when SIGTERM comes is finished, told and answered; nobody new is let in."""
    image = cloud.add_share(OWNER, ME, name="golden")
    cloud.settings.job_seconds = JOB_SECONDS
    with proof.function("check_job", environment) as (url, process, _):
        check = _check(image, cloud.queue.submit(ME, "accepted", [image], None).id)
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(httpx.post(url, json=check, headers=JSON, timeout=30)))
        thread.start()
        time.sleep(JOB_SECONDS / 3)
        process.send_signal(signal.SIGTERM)
        sent = time.perf_counter()
        thread.join()
        took = time.perf_counter() - sent
        code = process.wait(timeout=30)
    must([(each.status_code, each.content) for each in answers] == [(204, b"")], f"answered {answers}")
    must([kind for kind, _ in taken] == ["dev.doorman.share.accepted.v1"], f"told {taken}")
    must(code == 0, f"exit code {code}")
    _say(f"SIGTERM with a check in flight: 204 and the outcome {took:.1f} s later, then exit code 0")


JSON = {"content-type": "application/cloudevents+json"}


def _check(image: str, job_id: str) -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    data = {
        "project_id": ME,
        "job_id": job_id,
        "status": "accepted",
        "images": [image],
        "submitted_at": now,
        "attempt": 1,
    }
    head = {"specversion": "1.0", "id": "check", "source": "/proof", "type": "dev.doorman.job.check.v1", "time": now}
    return {**head, "data": data}


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())


def _bytecode(source: Path) -> Iterator[Path]:
    return (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")


def _list(figures: dict[str, float]) -> str:
    return ", ".join(
        f"{name} {figure:.0f}" if figure > 1 else f"{name} {figure:.1f}" for name, figure in figures.items()
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
