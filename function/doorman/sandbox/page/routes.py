"""Serves the page below `/sandbox`, beside the sandbox's own API, which its buttons call; no build step, no network."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from doorman.entrypoints.cli import report
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import Policy, load
from doorman.policy.tools.explain import as_json, explain
from doorman.sandbox import world
from doorman.sandbox.admin import read_body
from doorman.sandbox.broker import Broker
from doorman.sandbox.page.feed import Feed, as_letter
from doorman.sandbox.page.what_if import read_shares, try_out
from doorman.sandbox.problems import Problem
from doorman.sandbox.processes import COMMAND, Function, own_environment
from doorman.sandbox.samples import EVENTS
from doorman.sandbox.state import Cloud

HERE = Path(__file__).parent
FILES = {"page.html": HERE, "page.css": HERE, "page.js": HERE, "report.css": Path(report.__file__).parent}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
PAUSE, BRIEFLY, COMMAND_SECONDS = 0.2, 0.03, 60.0


class Page:
    """The page of one sandbox.

    Args:
        functions: by target; filled in when they run.
        settings: what they run with, likewise; applying a policy changes DOORMAN_POLICY in it.
        folder: where a policy that is applied is written; no file of the user's is ever changed.
    """

    def __init__(
        self, cloud: Cloud, broker: Broker, functions: Mapping[str, Function], settings: dict[str, str], folder: Path
    ) -> None:
        self.cloud, self.broker = cloud, broker
        self.functions, self.settings, self.folder = functions, settings, folder
        self.feed = Feed(cloud, broker)
        self._applying, self._text = asyncio.Lock(), ""

    def routes(self) -> list[BaseRoute]:
        """Name the endpoints."""
        acts: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {
            ("GET", ""): self._file, ("GET", "/page/{name}"): self._file, ("GET", "/feed"): self._stream,
            ("GET", "/lane"): self._lane, ("POST", "/send"): self._send, ("POST", "/resend"): self._resend,
            ("POST", "/settle"): self._settle, ("POST", "/policy"): self._try, ("PUT", "/policy"): self._apply,
        }  # fmt: skip
        return [Route(f"/sandbox{path}", act, methods=[verb]) for (verb, path), act in acts.items()]

    async def _file(self, request: Request) -> Response:
        name = request.path_params.get("name", "page.html")
        return FileResponse(FILES[name] / name, headers=HEADERS) if name in FILES else Response(status_code=404)

    async def _stream(self, _: Request) -> Response:
        return StreamingResponse(self._tell(), media_type="text/event-stream", headers=HEADERS)

    async def _tell(self) -> AsyncIterator[str]:
        """Tell everything, in parts, then what changes; a page that comes back starts anew."""
        yield f"data: {json.dumps(self._describe())}\n\n"
        revision, known = 0, (-1, "")
        while True:
            await self.feed.catch_up()
            revision, part = self.feed.since(revision)
            faults = self.cloud.faults.describe()
            beside = len(self.broker.dead_letters), str(faults)
            if beside != known:
                part |= {"letters": self.feed.letters(), "number": beside[0], "faults": faults}
                known = beside
            if part:
                yield f"data: {json.dumps(part)}\n\n"
            await asyncio.sleep(BRIEFLY if part else PAUSE)

    def _describe(self) -> dict[str, Any]:
        events = [path for path in sorted(EVENTS.glob("*.json")) if not path.read_bytes().startswith(b"[")]
        return {
            "projects": {project.id: project.name for project in self.cloud.directory.projects.values()},
            "receiver": world.RECEIVER, "sink": self.settings["K_SINK"], "events": str(EVENTS),
            "samples": {path.name: path.read_text("utf-8") for path in events},
            "policy": self._running(), "file": self.settings["DOORMAN_POLICY"],
        }  # fmt: skip

    def _running(self) -> str:
        """Give the policy that the functions run with, also where its file was changed since."""
        self._text = self._text or Path(self.settings["DOORMAN_POLICY"]).read_text("utf-8")
        return self._text

    async def _lane(self, request: Request) -> Response:
        return JSONResponse(self.feed.open_lane(request.query_params.get("id", "")))

    async def _resend(self, request: Request) -> Response:
        letters, number = self.broker.dead_letters, (await read_body(request)).get("number")
        if not isinstance(number, int) or not 0 <= number < len(letters):
            raise Problem(400, {"error": "there is no such dead letter"})
        return await self._post(json.dumps(as_letter(letters[number]).revive()).encode())

    async def _send(self, request: Request) -> Response:
        """Hand an event to the broker, as it is: also a malformed one, to see it refused."""
        return await self._post(await request.body())

    async def _post(self, body: bytes) -> Response:
        async with httpx.AsyncClient(trust_env=False, timeout=COMMAND_SECONDS) as client:
            answer = await client.post(self.settings["K_SINK"], headers=STRUCTURED, content=body)
        return JSONResponse({"status": answer.status_code, "text": answer.text})

    async def _settle(self, request: Request) -> Response:
        """Run `doorman approve` or `reject`, as a person would."""
        asked = await read_body(request)
        if asked.get("action") not in ("approve", "reject"):
            raise Problem(400, {"error": "action: approve or reject"})
        words = [str(asked["action"]), "--yes", f"--project={asked.get('project')}", f"--reason={asked.get('reason')}"]
        words = [*COMMAND, *words, "--", str(asked.get("image"))]
        env, pipe = own_environment(self.settings), asyncio.subprocess.PIPE
        begin = asyncio.create_subprocess_exec(*words, env=env, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        try:
            process = await begin
        except (OSError, ValueError) as error:
            raise Problem(400, {"error": f"no words of a command ({type(error).__name__})"}) from error
        try:
            said, _ = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        except TimeoutError:
            process.kill()
            raise Problem(504, {"error": f"no end within {COMMAND_SECONDS:g} s"}) from None
        if process.returncode:
            raise Problem(409, {"error": said.decode(errors="replace").strip()})
        return JSONResponse({"text": said.decode(errors="replace").strip()})

    async def _try(self, request: Request) -> Response:
        """Say what a policy would do: with all shares, or, step by step, with one."""
        asked, shares = await read_body(request), read_shares(self.cloud, world.RECEIVER)
        text, image = str(asked.get("text")), asked.get("image")
        if image is None:
            return JSONResponse(await run_in_threadpool(try_out, text, _load(self._running()), shares))
        policy, now = await run_in_threadpool(_load, text), datetime.now(UTC)
        return JSONResponse([as_json(explain(each, policy, now=now)) for each in shares if each.image_id == image])

    async def _apply(self, request: Request) -> Response:
        """Write the policy beside the user's own, and start the functions anew with it."""
        text = (await request.body()).decode(errors="replace")
        await run_in_threadpool(_load, text)
        async with self._applying:
            file = self.folder / "policy.yaml"
            file.write_text(text, "utf-8")
            self.settings["DOORMAN_POLICY"], self._text = str(file), text
            await run_in_threadpool(_restart, list(self.functions.values()))
        return JSONResponse({"text": f"the functions run with it; export DOORMAN_POLICY={file}"})


def _restart(functions: list[Function]) -> None:
    """End all, then start all; the broker tries again what comes in between."""
    for act in (Function.stop, Function.await_end, Function.restart, Function.await_start):
        for each in functions:
            act(each)


def _load(text: str) -> Policy:
    try:
        return load(text)
    except BrokenFile as error:
        raise Problem(400, {"error": str(error)}) from error
