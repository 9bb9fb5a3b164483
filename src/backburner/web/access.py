"""Who may see which job, and do what with it: closed unless something opens it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import isawaitable, iscoroutinefunction
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request

from backburner.control import Control
from backburner.errors import SettingsError
from backburner.insight.operations import EXPORT, OPERATION
from backburner.job import Job
from backburner.states import JobState, allowed
from backburner.web.bearers import Bearers
from backburner.web.problems import forbidden, gone, insufficient_scope, not_found, unauthorized
from backburner.web.rights import ALL, NONE, READING, Permission, ResolveAccess, Rights
from backburner.web.scopes import ACT, READ, covers
from backburner.web.tokens import Grant, Tokens
from backburner.web.user import ResolveUser, User

DEVELOPER = User("developer", operator=True)
RETRIED_BY_OWNERS = frozenset({JobState.FAILED, JobState.CANCELLED})
PERMISSIONS = {
    "cancel": Permission.JOBS_CANCEL, "retry": Permission.JOBS_RETRY, "delete": Permission.JOBS_DELETE,
}  # fmt: skip
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request's user and token, and what they open."""

    user: User | None = None
    grant: Grant | None = None
    rights: Rights = NONE

    @property
    def operator(self) -> bool:
        """True when everything is open."""
        return self.user is not None and self.user.operator

    @property
    def name(self) -> str:
        """Who it is, for records of what was done."""
        return self.user.id if self.user is not None else "somebody with a link"

    def allows(self, permission: Permission, job: Job | None = None) -> bool:
        """Whether the operators' pages are open for this, of one job or of anything at all."""
        if self.user is not None and not covers(self.user.scopes, READ if permission in READING else ACT):
            return False
        return self.rights.any(permission) if job is None else self.rights.covers(permission, job)

    def can(self, scope: str) -> bool:
        """Whether the user's scopes open this one, for whom they open anything at all."""
        return self.user is not None and covers(self.user.scopes, scope)

    def owns(self, job: Job) -> bool:
        """Whether it is this user's own job."""
        return self.user is not None and job.owner == self.user.id

    def opened(self, job: Job) -> bool:
        """Whether the job is open to this visitor with all that it returned: by its owner, visibility or token."""
        if self._own(job) or job.visibility == "public" or self._granted(job):
            return True
        return self.user is not None and job.visibility == "users"

    def sees(self, job: Job) -> bool:
        """Whether the job exists for this visitor."""
        return self.opened(job) or self.allows(Permission.JOBS_VIEW, job)

    def may(self, verb: str, job: Job) -> bool:
        """Whether this visitor may cancel, retry or delete the job, as far as its state allows it at all."""
        if verb == "cancel" and (job.done or job.cancel_requested):
            return False
        if verb == "retry" and not allowed("retry", job.state):
            return False
        if verb == "dismiss" and not job.done:
            return False
        if verb == "tell" and job.done:
            return False
        if verb == "delete" and job.state is JobState.RUNNING:
            return False
        return self.permitted(verb, job)

    def permitted(self, verb: str, job: Job) -> bool:
        """Whether this visitor is one of those who may do this, whatever the state.

        Owners may cancel, and try again what failed or was cancelled; what must not run twice is for
        those alone who are permitted to by name, and so is deleting. A token dismisses nothing: that is about the
        list of its owner.
        """
        if verb in ("dismiss", "tell"):
            return self._own(job) and self.can(ACT)
        if verb == "retry" and job.task in (OPERATION, EXPORT):
            # It would act on other jobs once more, by what whoever began it was permitted then.
            return all(self.rights.everywhere(one) for one in PERMISSIONS.values())
        if self.allows(PERMISSIONS[verb], job):
            return True
        as_user = self._own(job) and self.can(ACT)
        if verb == "delete" or not (as_user or (self._granted(job) and self.grant and self.grant.act)):
            return False
        return verb == "cancel" or (job.repeatable and job.state in RETRIED_BY_OWNERS)

    def _own(self, job: Job) -> bool:
        return self.operator or self.owns(job)

    def _granted(self, job: Job) -> bool:
        return self.grant is not None and self.grant.job == job.id


class Access:
    """Finds out who asks, and hands out only jobs that they may see."""

    def __init__(
        self, control: Control, secrets: Sequence[str], resolve_user: ResolveUser | None,
        resolve_access: ResolveAccess | None, development: bool,
    ) -> None:  # fmt: skip
        self._control, self._tokens, self._bearers = control, Tokens(*secrets), Bearers(secrets, control)
        self._resolve, self._resolve_access, self._development = resolve_user, resolve_access, development

    async def visitor(self, request: Request, scope: str | None = READ) -> Visitor:
        """Who asks. Raises a `Problem` for a bad bearer token, and where the scopes of the user are not enough.

        An expired token of a job is kept: whether that matters is for the job to say.
        """
        grant = self._grant(request)
        user = await self._user(request)
        visitor = Visitor(user, grant, await self._rights(request, user))
        if scope is None or visitor.user is None or visitor.can(scope):
            return visitor
        if grant is None:
            raise insufficient_scope(scope)
        return Visitor(None, grant)

    async def job(self, request: Request, job_id: str, scope: str = READ) -> tuple[Visitor, Job]:
        """The visitor and one job. Raises a `Problem` when it does not exist for them."""
        visitor = await self.visitor(request, scope)
        job = (await run_in_threadpool(self._control.glance, [job_id])).get(job_id)
        return self.entitled(visitor, job, job_id)

    def entitled(self, visitor: Visitor, job: Job | None, job_id: str) -> tuple[Visitor, Job]:
        """The visitor without a token that is over, and the job. Raises a `Problem` if they may not see it."""
        grant = visitor.grant
        expired = grant is not None and grant.expired(self._control.now())
        if expired:
            visitor = replace(visitor, grant=None)
        if job is not None and visitor.sees(job):
            return visitor, job
        raise gone("token") if expired and grant is not None and grant.job == job_id else not_found()

    async def operator(self, request: Request) -> Visitor:
        """The visitor, who is an operator. Raises a `Problem` otherwise."""
        visitor = await self.visitor(request)
        if not visitor.operator:
            raise forbidden("Only operators may see this page. Sign in as one.")
        return visitor

    async def allowed(self, request: Request, permission: Permission, scope: str = READ) -> Visitor:
        """The visitor, to whom this is permitted at least for something. Raises a `Problem` otherwise."""
        visitor = await self.visitor(request, scope)
        if not visitor.allows(permission):
            raise forbidden(f"This needs the permission {permission}. Sign in as somebody who has it.")
        return visitor

    async def signed_in(self, request: Request, scope: str | None = READ) -> tuple[Visitor, User]:
        """The visitor, who is a known user. Raises a `Problem` otherwise; a token of a job opens nothing here."""
        user = await self._user(request)
        if user is None:
            raise unauthorized("Sign in, or send a bearer token.")
        visitor = Visitor(user, self._grant(request), await self._rights(request, user))
        if scope is not None and not visitor.can(scope):
            raise insufficient_scope(scope)
        return visitor, user

    async def _rights(self, request: Request, user: User | None) -> Rights:
        if user is not None and user.operator:
            return ALL
        if self._resolve_access is None:
            return NONE
        if iscoroutinefunction(self._resolve_access):
            found = await self._resolve_access(request, user)
        else:
            found = await run_in_threadpool(self._resolve_access, request, user)
        return Rights.of(await found if isawaitable(found) else found)

    def _grant(self, request: Request) -> Grant | None:
        return self._tokens.read(request.query_params.get("token"))

    async def _user(self, request: Request) -> User | None:
        bearer = self._bearers.user(request)
        if bearer is not None:
            return bearer
        if self._development:
            return DEVELOPER
        if self._resolve is None:
            return None
        if iscoroutinefunction(self._resolve):
            found = await self._resolve(request)
        else:
            found = await run_in_threadpool(self._resolve, request)
            found = await found if isawaitable(found) else found
        if found is not None and not isinstance(found, User):
            kind = type(found).__name__
            raise SettingsError("resolve_user", kind, "is no User", "Have it return backburner.web.User(id), or None")
        return found


def is_local(connection: HTTPConnection) -> bool:
    """Whether a request comes from this machine and was meant for it, with nothing in between.

    The address of the peer decides. A foreign name in `Host` is DNS rebinding; a forwarding header means that
    a proxy brought it from elsewhere, and none is ever believed.
    """
    client = connection.client
    if client is None or not _is_loopback(client.host):
        return False
    if any(name in connection.headers for name in _FORWARDED):
        return False
    try:
        host = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host.endswith(".localhost") or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
