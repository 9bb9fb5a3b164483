"""The plan of a union: which member a value is of, and how its stored form tells."""

from __future__ import annotations

from typing import Any

from backburner.codec.plan import KINDS, Misfit, Plan, tag_of, wrong, wrong_stored

_DEEP = 4
"""Who fits this many levels down is the member meant. To try the others too would take 2 to the depth tries."""


class Union(Plan):
    """One of several plans. A member whose stored form another could claim is stored with its tag."""

    tag = "union"

    def __init__(self, members: list[Plan]) -> None:
        self._members = members
        self.name = " | ".join(member.name for member in members)
        tagged = [member for member in members if _needs_tag(member, members)]
        self._tagged = list(zip(tagged, _distinct(tagged), strict=True))
        self._plain = [member for member in members if member not in tagged]
        self.kinds = frozenset({"dict"} if tagged else ()).union(*(member.kinds for member in members))
        self.types = frozenset().union(*(member.types for member in members))
        self.native = not tagged and all(member.native for member in members)
        self.pure = all(member.pure for member in members)
        self.as_is = frozenset().union(*(member.as_is for member in members))

    @property
    def members(self) -> tuple[Plan, ...]:
        """The plans, in the annotation's order."""
        return tuple(self._members)

    def pack(self, value: Any) -> Any:
        cls, closest = type(value), None
        # Exact types first: an int for float | int must stay an int.
        for member in sorted(self._members, key=lambda member: cls not in member.types):
            try:
                packed = member.pack(value)
            except Misfit as misfit:
                if closest is None and (cls in member.types or misfit.unstorable):
                    closest = misfit
                continue
            tag = next((tag for tagged, tag in self._tagged if tagged is member), None)
            return packed if tag is None else {"$" + tag: packed}
        raise closest or wrong(self, value)

    def unpack(self, stored: Any) -> Any:
        tag, closest = tag_of(stored), None
        for member, own in self._tagged if tag is not None else ():
            # The short tag was written while no other member had it.
            if tag in (own, member.tag):
                try:
                    return member.unpack(stored["$" + tag])
                except Misfit as misfit:
                    closest = closest or misfit
        if closest is not None:
            raise closest
        kind = KINDS.get(type(stored))
        plain = sorted(self._plain, key=lambda member: kind not in member.kinds)
        # A plain value belongs to a plain member; tagged ones are asked for the sake of older annotations.
        for member in (*plain, *(member for member, _ in self._tagged)):
            try:
                return member.unpack(stored)
            except Misfit as misfit:
                if misfit.depth > _DEEP:
                    raise
                closest = closest or (misfit if kind in member.kinds else None)
        raise closest or wrong_stored(self, stored)

    def schema(self, defs: dict[str, Any]) -> dict[str, Any]:
        shapes = [member.schema(defs) for member in self._plain]
        for member, tag in self._tagged:
            key = "$" + tag
            shape = {"type": "object", "properties": {key: member.schema(defs)}, "required": [key]}
            shapes.append({**shape, "additionalProperties": False})
        return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _needs_tag(member: Plan, members: list[Plan]) -> bool:
    """Whether the stored form of this member could be taken for that of another one that has no tag."""
    rivals = [other for other in members if other is not member and other.kinds & member.kinds]
    if member.native:
        return not member.pure and any(rival.native for rival in rivals)
    return bool(rivals)


def _distinct(members: list[Plan]) -> list[str]:
    """The shortest tag for each that no other has: what it is called, with its items, with its module."""
    tags = [member.tag for member in members]
    for spelling in (lambda member: member.name, _qualified):
        shared = {tag for tag in tags if tags.count(tag) > 1}
        tags = [spelling(member) if tag in shared else tag for member, tag in zip(members, tags, strict=True)]
    return tags


def _qualified(plan: Plan) -> str:
    cls = getattr(plan, "cls", None)
    return plan.name if cls is None else f"{cls.__module__}.{cls.__qualname__}"
