"""What holds against each threat of `docs/threat-model.md`, taken away; which is which is said in `mitigations.py`."""

import base64
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from itsdangerous import Signer
from sqlalchemy import text

from backburner import context, contradictions, files, grant, launch
from backburner.codec import is_sensitive
from backburner.codec.pickled import Pickles, _Reader
from backburner.codec.refusals import Hidden
from backburner.codec.text import deeper
from backburner.grant import Refused
from backburner.insight.audit import Audit
from backburner.intake import Intake
from backburner.progress import printable
from backburner.registry import Registry
from backburner.route_jobs.cookies import CookieBox
from backburner.route_jobs.gate import Gate
from backburner.route_jobs.http import HttpCaller
from backburner.route_jobs.identity import Identity
from backburner.seal import Seal
from backburner.secret import Secret
from backburner.store.asked import asked
from backburner.store.grants import Grants
from backburner.target import checked_path
from backburner.task import Task
from backburner.vault import Box, Vault
from backburner.web import safety
from backburner.web.access import Access, Visitor, is_local
from backburner.web.links import is_safe
from backburner.web.rendering import environment
from backburner.web.safety import from_our_pages
from backburner.worker.reporter import Reporter
from tests.mutants.mutant import put, put_everywhere


def pickles_unsigned() -> None:
    def load(self: Pickles, task: str, text: str) -> Any:
        return self._loaded(base64.b64decode(text.partition(".")[2]))

    put(Pickles, "load", load)


def any_type_unpickled() -> None:
    put(_Reader, "find_class", pickle.Unpickler.find_class)


def closed_tasks_open() -> None:
    put(Intake, "task", lambda self, name: self._registry.require(name))


def names_in_any_case() -> None:
    get = Registry.get
    put(Registry, "get", lambda self, name: get(self, name.strip().lower()))


def rows_unsigned() -> None:
    put(Seal, "problem", lambda self, job, mac: None)


def any_path() -> None:
    put_everywhere(checked_path, str)


def redirects_followed() -> None:
    init = HttpCaller.__init__

    def trusting(self: HttpCaller, *given: Any) -> None:
        init(self, *given)
        kind = self._httpx.AsyncClient
        made = SimpleNamespace(**vars(self._httpx))
        made.AsyncClient = lambda **more: kind(**{**more, "follow_redirects": True, "trust_env": True})
        self._httpx = made

    put(HttpCaller, "__init__", trusting)


def epochs_not_compared() -> None:
    def admit(self: Identity, user_id: str, user: Any, *more: Any) -> None:
        if user is None:
            raise Refused("The user this job runs as is gone, or may not sign in any more.")

    put(Identity, "admit", admit)


def cookies_in_the_clear() -> None:
    put(
        CookieBox, "closed", lambda self, job, cookies: json.dumps({n: cookies[n] for n in self._names if n in cookies})
    )
    put(CookieBox, "opened", lambda self, job, kept: "; ".join("=".join(one) for one in json.loads(kept).items()))


def cookies_of_any_job() -> None:
    closed, opened = CookieBox.closed, CookieBox.opened
    put(CookieBox, "closed", lambda self, job, cookies: closed(self, "any", cookies))
    put(CookieBox, "opened", lambda self, job, kept: opened(self, "any", kept))


def grants_unsigned() -> None:
    put(grant, "_mac", lambda key, payload, request: "0")


def grants_of_any_time() -> None:
    put(grant, "SECONDS", 1e12)


def grants_used_twice() -> None:
    put(Grants, "use", lambda self, *given: True)


def grants_from_outside() -> None:
    opened = Gate.opened
    put(Gate, "opened", lambda self, token, request, *, inside: opened(self, token, request, inside=True))


def owners_not_asked() -> None:
    put(Visitor, "sees", lambda self, job: True)


def tokens_unsigned() -> None:
    put(Signer, "verify_signature", lambda self, value, signature: True)


def permissions_not_asked() -> None:
    async def allowed(self: Access, request: Any, *more: Any) -> Visitor:
        return await self.visitor(request)

    put(Access, "allowed", allowed)


def development_from_anywhere() -> None:
    put_everywhere(is_local, lambda connection: True)


def markup_not_escaped() -> None:
    def raw() -> Any:
        made = environment()
        made.autoescape = False
        return made

    put_everywhere(environment, raw)


def no_policy() -> None:
    put(safety, "HEADERS", {name: value for name, value in safety.HEADERS.items() if "policy" not in name})


def writes_from_anywhere() -> None:
    put_everywhere(from_our_pages, lambda connection: True)


def links_anywhere() -> None:
    put_everywhere(is_safe, lambda href: True)


def any_place() -> None:
    put(files, "_checked", str)


def values_in_statements() -> None:
    def written(schema: Any, t: Any, which: Any) -> Any:
        said = [] if which.owner is None else [text(f"owner = '{which.owner}'".replace(":", r"\:"))]
        return [*asked(schema, t, replace(which, owner=None)), *said]

    put_everywhere(asked, written)


def any_prefix() -> None:
    put(contradictions, "_TABLE_PREFIX", SimpleNamespace(match=lambda name: True))


def names_hide_nothing() -> None:
    put_everywhere(is_sensitive, lambda name: False)


def secrets_in_the_clear() -> None:
    put(Box, "close", lambda self, text, place: text.decode())
    put(Box, "open", lambda self, closed, place: closed.encode())


def secrets_of_any_job() -> None:
    put(Vault, "box", lambda self, task, subject: Box(self, task, "any"))


def secrets_at_any_place() -> None:
    close, open_ = Box.close, Box.open
    put(Box, "close", lambda self, text, place: close(self, text, ""))
    put(Box, "open", lambda self, closed, place: open_(self, closed, ""))


def secrets_in_texts() -> None:
    for name in ("__str__", "__repr__"):
        put(Secret, name, lambda self: repr(self._value))
    put(Secret, "__format__", lambda self, spec: format(self._value, spec))


def secrets_in_errors() -> None:
    put(Hidden, "__repr__", lambda self: self._type)
    put(Hidden, "__init__", lambda self, value: setattr(self, "_type", repr(value)))


def secrets_in_titles() -> None:
    def rendered(self: Task[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        assert self._template is not None
        named = self.parameters.named(args, kwargs).items()
        return self._template.render({name: getattr(value, "_value", value) for name, value in named})

    put(Task, "_rendered", rendered)


def secrets_of_before_shown() -> None:
    put(Registry, "secrets_of", lambda self, name: frozenset())


def files_open_to_others() -> None:
    shared: Mapping[str, Any] = vars(os) | {"open": lambda path, flags, mode=0o666: os.open(path, flags, 0o666)}
    put(launch, "os", SimpleNamespace(**shared))


def control_characters() -> None:
    put_everywhere(printable, str)


def messages_without_end() -> None:
    put(context, "MAX_MESSAGES", 10**9)


def output_without_end() -> None:
    init = Reporter.__init__

    def endless(self: Reporter, *given: Any, **more: Any) -> None:
        init(self, *given, **more)
        self._max_log = 10**12

    put(Reporter, "__init__", endless)


def nothing_written_down() -> None:
    put(Audit, "write", lambda self, *given, **more: None)


def any_depth() -> None:
    put_everywhere(deeper, lambda *given: False)


def any_bytes() -> None:
    put(safety, "_unreadable", lambda scope: None)
