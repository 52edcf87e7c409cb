"""FunctionGraph's asynchronous invocations: taken with 202, carried to the container later, retried as the engine does.

https://docs.otc.t-systems.com/function-graph/api-ref/
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import h11

from doorman.sandbox.delivery import Sleep
from doorman.sandbox.directory import Directory
from doorman.sandbox.posting import Poster
from doorman.sandbox.problems import gateway
from doorman.sandbox.records import User, new_id
from doorman.sandbox.settings import Settings
from doorman.sandbox.tasks import Tasks

MAX_PAYLOAD = 256 * 1024
PROJECT_IN_URN = 3
SECRETS = ("access-key", "secret-key", "token")
Loan = Literal["nothing", "token", "keys"]


@dataclass(slots=True, kw_only=True)
class Deployed:
    """A container function.

    Attributes:
        url: base URL of its container.
        agency: whose rights it is lent. loan: whether as a token, as temporary keys, or not at all.
        retries: how often a call that failed is made again.
        timeout: seconds for one call; the engine's own default is 3.
        is_audited: it is called with the audit traces of its project, as by a CTS trigger.
    """

    urn: str
    url: str
    agency: User | None = None
    loan: Loan = "token"
    retries: int = 1
    timeout: float = 30.0
    is_audited: bool = False
    is_initialized: bool = False


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One call of a function: what was handed over, and the status or error of each try."""

    urn: str
    request_id: str
    payload: bytes = field(repr=False)
    tries: list[int | str] = field(default_factory=list)


class Engine:
    """The functions, and what they were called with."""

    def __init__(self, settings: Settings, directory: Directory, *, sleep: Sleep = asyncio.sleep) -> None:
        self.settings = settings
        self.directory = directory
        self.functions: dict[str, Deployed] = {}
        self.invocations: list[Invocation] = []
        self._sleep = sleep
        self._poster = Poster()
        self.tasks = Tasks()

    def submit(self, urn: str, payload: bytes) -> Invocation:
        """Take a call in, to be made soon; must run in an event loop.

        Raises:
            Problem: there is no such function, or the payload is too large.
        """
        function = self.functions.get(urn)
        if function is None:
            raise gateway(404, "FSS.1051", "The function does not exist.")
        if len(payload) > MAX_PAYLOAD:
            raise gateway(413, "FSS.0413", f"The payload has more than {MAX_PAYLOAD} bytes.")
        invocation = Invocation(urn=urn, request_id=new_id(), payload=payload)
        self.invocations.append(invocation)
        self.tasks.start(self._call(function, invocation))
        return invocation

    def tick(self, urn: str, *, name: str = "timer", user_event: str = "") -> Invocation:
        """Let a timer call a function."""
        at = datetime.fromtimestamp(self.directory.clock(), tz=UTC).isoformat(timespec="seconds")
        told = {"version": "v1.0", "time": at, "trigger_type": "TIMER", "trigger_name": name, "user_event": user_event}
        return self.submit(urn, json.dumps(told).encode())

    def audit(self, project_id: str, name: str, request: dict[str, Any], response: dict[str, Any]) -> None:
        """Let the audit service (CTS) tell of an operation of the image service, once it is done.

        Args:
            project_id: where it was done, and whose functions hear of it.
            name: of the trace. request, response: their bodies, as JSON text.
        """
        now = int(self.directory.clock() * 1000)
        trace = {
            "time": now, "record_time": now, "user": {"name": "jane.roe"}, "code": 200, "trace_rating": "normal",
            "request": json.dumps(request), "response": json.dumps(response), "service_type": "IMS",
            "resource_type": "ims", "trace_name": name, "trace_type": "ApiCall", "trace_id": new_id(),
            "project_id": project_id,
        }  # fmt: skip
        for function in self.functions.values():
            if function.is_audited and function.urn.split(":")[PROJECT_IN_URN] == project_id:
                self.submit(function.urn, json.dumps({"cts": trace}).encode())

    async def aclose(self) -> None:
        """Drop what is in flight and close all connections."""
        await self.tasks.drop()
        await self._poster.aclose()

    async def _call(self, function: Deployed, invocation: Invocation) -> None:
        if not function.is_initialized:
            function.is_initialized = True
            with contextlib.suppress(OSError, TimeoutError, h11.RemoteProtocolError):
                await self._post(function, "init", b"{}", invocation.request_id)
        for number in range(function.retries + 1):
            if number:
                await self._sleep(self.settings.retry_seconds)
            try:
                status = await self._post(function, "invoke", invocation.payload, invocation.request_id)
            except TimeoutError:
                invocation.tries.append("timed out")
            except (OSError, h11.RemoteProtocolError) as error:
                invocation.tries.append(str(error) or type(error).__name__)
            else:
                invocation.tries.append(status)
                if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return

    async def _post(self, function: Deployed, path: str, body: bytes, request_id: str) -> int:
        async with asyncio.timeout(function.timeout):
            answer = await self._poster(f"{function.url.rstrip('/')}/{path}", self._headers(function, request_id), body)
        return answer.status

    def _headers(self, function: Deployed, request_id: str) -> dict[str, str]:
        """Write what the engine tells a container; what it does not lend is the text `null`."""
        project_id = function.urn.split(":")[PROJECT_IN_URN]
        headers = {
            "content-type": "application/json",
            "x-cff-request-id": request_id,
            "x-cff-project-id": project_id,
            "x-cff-region": self.settings.region,
            **dict.fromkeys(("x-cff-auth-token", *(f"x-cff-security-{w}" for w in SECRETS)), "null"),
        }
        if function.agency is not None and function.loan == "token":
            headers["x-cff-auth-token"] = self.directory.issue(function.agency, project_id, ("assume_role",)).id
        if function.agency is not None and function.loan == "keys":
            key = self.directory.lend(function.agency, project_id)
            values = (key.access, key.secret, key.security_token or "")
            headers |= {f"x-cff-security-{word}": value for word, value in zip(SECRETS, values, strict=True)}
        return headers
