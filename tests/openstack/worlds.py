"""The same small world twice: on a real Keystone and Glance, and on the sandbox. Owners share, one project receives."""

import time
from functools import partial
from typing import Any

import httpx

from doorman.models import Status
from doorman.sandbox.state import Cloud as Sandbox
from tests.builders import password_login
from tests.openstack.keystone_glance import ADMIN_PASSWORD, GLANCE_PASSWORD, Cloud

OWNERS = ("owner-a", "owner-b")
RECEIVER = "receiver"
REVOCATION = 1.1
"""Keystone revokes all tokens of the current second, also those that are issued a moment later."""

SECRET = "secret-of-the-test-cloud"
USERS = {"reader": ("reader", RECEIVER), "doorman": ("member", RECEIVER), **{name: ("member", name) for name in OWNERS}}
"""Every user with the role and the project that it has; `stranger` has none."""


login_body = partial(password_login, password=SECRET)


class RealWorld:
    """The world on real services, made through their own APIs."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.auth_url = f"{cloud.keystone.url}/v3"
        self.image_url = cloud.glance.url
        self.projects: dict[str, str] = {}
        self._client = httpx.Client(timeout=60, headers={"Accept": "application/json"})
        self._tokens: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self._make_context()

    def log_in(self, user: str, project: dict[str, Any], password: str = SECRET) -> str:
        """Log in; give the token."""
        answer = self._client.post(f"{self.auth_url}/auth/tokens", json=login_body(user, project, password=password))
        return str(answer.raise_for_status().headers["X-Subject-Token"])

    def send(self, method: str, url: str, user: str, **more: Any) -> Any:
        """Send a request as a user; give the body of the answer."""
        headers = {"X-Auth-Token": self._tokens[user]}
        answer = self._client.request(method, url, headers=headers, **more).raise_for_status()
        return answer.json() if answer.content else None

    def add_image(self, owner: str, name: str) -> str:
        """Create an image and give it some bytes, so that it is active."""
        image = {"name": name, "container_format": "bare", "disk_format": "raw", "visibility": "shared"}
        image_id = str(self.send("POST", f"{self.image_url}/v2/images", owner, json=image)["id"])
        headers = {"X-Auth-Token": self._tokens[owner], "Content-Type": "application/octet-stream"}
        url = f"{self.image_url}/v2/images/{image_id}/file"
        self._client.put(url, headers=headers, content=b"an image").raise_for_status()
        return image_id

    def share(self, image_id: str, owner: str) -> None:
        """Add the receiver as a member."""
        url = f"{self.image_url}/v2/images/{image_id}/members"
        self.send("POST", url, owner, json={"member": self.projects[RECEIVER]})

    def unshare(self, image_id: str, owner: str) -> None:
        """Remove the member."""
        self.send("DELETE", self._member(image_id), owner)

    def delete(self, image_id: str, owner: str) -> None:
        """Delete the image."""
        self.send("DELETE", f"{self.image_url}/v2/images/{image_id}", owner)

    def settle(self, image_id: str, status: Status) -> None:
        """Set the member's status."""
        self.send("PUT", self._member(image_id), "doorman", json={"status": status})

    def status(self, image_id: str) -> str:
        """Read the member's status."""
        return str(self.send("GET", self._member(image_id), "doorman")["status"])

    def hide(self, image_id: str, owner: str) -> None:
        """Hide an image, as its owner."""
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch", "X-Auth-Token": self._tokens[owner]}
        change = [{"op": "replace", "path": "/os_hidden", "value": True}]
        self._client.patch(f"{self.image_url}/v2/images/{image_id}", json=change, headers=headers).raise_for_status()

    def make_application_credential(self, rules: list[dict[str, str]], name: str | None = None) -> dict[str, str]:
        """Make `doorman` an application credential that may do no more than `rules` say; give its ID and secret."""
        credential = {"name": name or f"rules-{len(rules)}", "roles": [{"name": "member"}], "access_rules": rules}
        url = f"{self.auth_url}/users/{self.users['doorman']}/application_credentials"
        made = self.send("POST", url, "doorman", json={"application_credential": credential})
        return {name: made["application_credential"][name] for name in ("id", "secret")}

    def change_password(self, password: str) -> None:
        """Give `doorman` another password, which ends its tokens."""
        self._admin("PATCH", f"/users/{self.users['doorman']}", user={"password": password})
        time.sleep(REVOCATION)
        self._renew("doorman", password)

    def end_tokens(self) -> None:
        """End all tokens of `doorman`, as Keystone does when a user is locked, and let it in again."""
        for is_enabled in (False, True):
            self._admin("PATCH", f"/users/{self.users['doorman']}", user={"enabled": is_enabled})
        time.sleep(REVOCATION)
        self._renew("doorman", SECRET)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _member(self, image_id: str) -> str:
        return f"{self.image_url}/v2/images/{image_id}/members/{self.projects[RECEIVER]}"

    def _admin(self, method: str, path: str, **body: Any) -> Any:
        return self.send(method, self.auth_url + path, "admin", **({"json": body} if body else {}))

    def _make_context(self) -> None:
        self._tokens["admin"] = self.log_in("admin", {"name": "admin", "domain": {"id": "default"}}, ADMIN_PASSWORD)
        self._admin("POST", "/regions", region={"id": "RegionOne"})
        self._add_service("identity", "keystone", self.auth_url)
        self._add_service("image", "glance", self.image_url)
        for name in (*OWNERS, RECEIVER, "service"):
            project = {"name": name, "domain_id": "default"}
            self.projects[name] = self._admin("POST", "/projects", project=project)["project"]["id"]
        self._add_user("glance", GLANCE_PASSWORD, "admin", "service")
        self._add_user("stranger", SECRET)
        for name, (role, project_name) in USERS.items():
            self._add_user(name, SECRET, role, project_name)
            self._renew(name, SECRET)

    def _renew(self, user: str, password: str) -> None:
        _, project = USERS[user]
        # A project's own name stands for its member, so that images can be made in its name.
        self._tokens[user] = self._tokens[project] = self.log_in(user, {"id": self.projects[project]}, password)

    def _add_service(self, kind: str, name: str, url: str) -> None:
        service = self._admin("POST", "/services", service={"type": kind, "name": name})["service"]["id"]
        for interface in ("public", "internal"):
            endpoint = {"interface": interface, "url": url, "service_id": service, "region_id": "RegionOne"}
            self._admin("POST", "/endpoints", endpoint=endpoint)

    def _add_user(self, name: str, password: str, role: str | None = None, project: str | None = None) -> None:
        user = {"name": name, "password": password, "domain_id": "default"}
        user_id = self.users[name] = self._admin("POST", "/users", user=user)["user"]["id"]
        if role and project:
            (found,) = self._admin("GET", f"/roles?name={role}")["roles"]
            self._admin("PUT", f"/projects/{self.projects[project]}/users/{user_id}/roles/{found['id']}")


class SandboxWorld:
    """The world on the sandbox, made by its own words."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox = sandbox
        self.auth_url = f"{url}/identity/v3"
        self.image_url = url
        self.projects = {name: name for name in (*OWNERS, RECEIVER)}
        sandbox.add_user("stranger", SECRET)
        for name, (role, project) in USERS.items():
            sandbox.add_user(name, SECRET, [project], role=role)

    def add_image(self, owner: str, name: str) -> str:
        """Add an image of an owner that can be shared; give its ID."""
        return self.sandbox.add_image(owner, name=name).id

    def share(self, image_id: str, owner: str) -> None:
        """Share it with the receiver."""
        del owner
        self.sandbox.share(image_id, RECEIVER)

    def unshare(self, image_id: str, owner: str) -> None:
        """Take the share back."""
        del owner
        self.sandbox.unshare(image_id, RECEIVER)

    def delete(self, image_id: str, owner: str) -> None:
        """Delete the image."""
        del owner
        self.sandbox.delete_image(image_id)

    def settle(self, image_id: str, status: Status) -> None:
        """Settle the share as a person in the receiving project would."""
        self.sandbox.set_status(image_id, RECEIVER, status)


World = RealWorld | SandboxWorld
