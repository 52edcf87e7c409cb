"""Images and with whom they are shared, with lists that stay fast at ten thousand shares; knows no HTTP."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal

from doorman.sandbox.records import Image, Member, MemberStatus
from doorman.sandbox.settings import Settings

ListedStatus = Literal["pending", "accepted", "rejected", "all"]
Key = tuple[float, str]

STATUSES: tuple[MemberStatus, ...] = ("pending", "accepted", "rejected")


class ImageStore:
    """All images and members; lists are newest first, and a marker continues after its image."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.images: dict[str, Image] = {}
        self.members: dict[str, dict[str, Member]] = {}
        self._received: dict[tuple[str, MemberStatus], list[Key]] = {}
        self._owned: dict[str, dict[str, None]] = {}
        self._open: dict[str, None] = {}
        self._versions: dict[str, int] = {}
        self._orders: dict[tuple[str, str, str], tuple[tuple[int, int], list[Key]]] = {}

    def add(self, image: Image) -> Image:
        """Add an image; one with its ID that was there before is deleted."""
        if image.id in self.images:
            self.delete(image.id)
        self.images[image.id] = image
        self.members.setdefault(image.id, {})
        self._owned.setdefault(image.owner, {})[image.id] = None
        if image.visibility in {"public", "community"}:
            self._open[image.id] = None
            self._touch("")
        self._touch(image.owner)
        return image

    def hide(self, image_id: str) -> None:
        """Leave an image out of ordinary lists; whoever knows its ID reads it as before."""
        image = self.images[image_id]
        image.hidden = True
        image.rendered.clear()

    def delete(self, image_id: str) -> None:
        """Delete an image and all its shares."""
        for project_id in list(self.members[image_id]):
            self.unshare(image_id, project_id)
        image = self.images.pop(image_id)
        del self.members[image_id]
        self._owned[image.owner].pop(image_id, None)
        self._open.pop(image_id, None)
        self._touch(image.owner)
        self._touch("")

    def share(self, image_id: str, project_id: str, status: MemberStatus = "pending") -> Member:
        """Share an image with a project; sharing again starts over, as pending."""
        self.unshare(image_id, project_id)
        now = self.clock()
        member = Member(
            image_id=image_id,
            project_id=project_id,
            status=status,
            created_at=now,
            updated_at=now,
            visible_at=now + self.settings.visibility_delay,
        )
        self.members[image_id][project_id] = member
        self._receive(member)
        return member

    def unshare(self, image_id: str, project_id: str) -> bool:
        """Take a share back; say whether there was one."""
        member = self.members[image_id].pop(project_id, None)
        if member is None:
            return False
        self._withdraw(member)
        return True

    def settle(self, image_id: str, project_id: str, status: MemberStatus) -> bool:
        """Set a member's status, which changes nothing where it is that already; say whether there is such a member."""
        member = self.members.get(image_id, {}).get(project_id)
        if member is None:
            return False
        if member.status != status:
            self._withdraw(member)
            member.status = status
            member.updated_at = self.clock()
            self._receive(member)
        elif self.settings.settling_again_counts:
            member.updated_at = self.clock()
        return True

    def member(self, image_id: str, project_id: str) -> Member | None:
        """Read a share as its receiver sees it: None before it became visible."""
        member = self.members.get(image_id, {}).get(project_id)
        return member if member is not None and member.visible_at <= self.clock() else None

    def visible(self, image_id: str, project_id: str) -> Image | None:
        """Read an image as `project_id` sees it: its own, open ones, and shares of any status."""
        image = self.images.get(image_id)
        if image is None:
            return None
        if image.owner == project_id or image.visibility in {"public", "community"}:
            return image
        return image if self.member(image_id, project_id) is not None else None

    def listed(
        self, project_id: str, *, visibility: str | None, status: ListedStatus, after: Image | None = None
    ) -> Iterator[Image]:
        """List images as Glance does, newest first, those after `after`; own shared images stand in every status."""
        keys = self._order(project_id, visibility or "", status)
        end = len(keys) if after is None else bisect_left(keys, (after.created_at, after.id))
        now = self.clock()
        for _, image_id in islice(reversed(keys), len(keys) - end, None):
            image = self.images.get(image_id)
            if image is None:
                continue
            member = self.members[image_id].get(project_id)
            if member is None or member.visible_at <= now or image.owner == project_id:
                yield image

    def received(self, project_id: str, status: MemberStatus) -> list[str]:
        """Name the images that are shared with a project in this status, the oldest first."""
        return [image_id for _, image_id in self._received.get((project_id, status), ())]

    def _receive(self, member: Member) -> None:
        """Enter a share into the list of its status, which stays sorted."""
        insort(self._received.setdefault((member.project_id, member.status), []), self._key(member.image_id))
        self._touch(member.project_id)

    def _withdraw(self, member: Member) -> None:
        """Take a share out of the list of its status."""
        keys = self._received[member.project_id, member.status]
        del keys[bisect_left(keys, self._key(member.image_id))]
        self._touch(member.project_id)

    def _key(self, image_id: str) -> Key:
        return self.images[image_id].created_at, image_id

    def _order(self, project_id: str, visibility: str, status: ListedStatus) -> list[Key]:
        """Sort what a list may show, oldest first; kept until something changes for this project.

        The list that matters, what is shared with a project that owns nothing itself, is always at hand.
        """
        if visibility == "shared" and status != "all" and not self._owned.get(project_id):
            return self._received.get((project_id, status), [])
        version = (self._versions.get(project_id, 0), self._versions.get("", 0))
        known = self._orders.get((project_id, visibility, status))
        if known is not None and known[0] == version:
            return known[1]
        keys = sorted(set(self._candidates(project_id, visibility, status)))
        self._orders[project_id, visibility, status] = (version, keys)
        return keys

    def _candidates(self, project_id: str, visibility: str, status: ListedStatus) -> Iterable[Key]:
        for image_id in self._owned.get(project_id, ()):
            if visibility in {"", "all", self.images[image_id].visibility}:
                yield self._key(image_id)
        if visibility in {"", "all", "shared"}:
            for each in STATUSES if status == "all" else (status,):
                yield from self._received.get((project_id, each), ())
        if visibility != "shared":
            wanted = {"": {"public"}, "all": {"public", "community"}}.get(visibility, {visibility})
            yield from (self._key(i) for i in self._open if self.images[i].visibility in wanted)

    def _touch(self, project_id: str) -> None:
        self._versions[project_id] = self._versions.get(project_id, 0) + 1
