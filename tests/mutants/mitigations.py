"""What holds against each threat of `docs/threat-model.md`, switched off, and the tests that must see it."""

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
from backburner.store.asked import asked
from backburner.store.grants import Grants
from backburner.target import checked_path
from backburner.web import safety
from backburner.web.access import Access, Visitor, is_local
from backburner.web.links import is_safe
from backburner.web.rendering import environment
from backburner.web.safety import from_our_pages
from backburner.worker.reporter import Reporter
from tests.mutants.mutant import Mutant, put, put_everywhere


def _pickles_unsigned() -> None:
    def load(self: Pickles, task: str, text: str) -> Any:
        return self._loaded(base64.b64decode(text.partition(".")[2]))

    put(Pickles, "load", load)


def _any_type_unpickled() -> None:
    put(_Reader, "find_class", pickle.Unpickler.find_class)


def _closed_tasks_open() -> None:
    put(Intake, "task", lambda self, name: self._registry.require(name))


def _names_in_any_case() -> None:
    get = Registry.get
    put(Registry, "get", lambda self, name: get(self, name.strip().lower()))


def _rows_unsigned() -> None:
    put(Seal, "problem", lambda self, job, mac: None)


def _any_path() -> None:
    put_everywhere(checked_path, str)


def _redirects_followed() -> None:
    init = HttpCaller.__init__

    def trusting(self: HttpCaller, *given: Any) -> None:
        init(self, *given)
        kind = self._httpx.AsyncClient
        made = SimpleNamespace(**vars(self._httpx))
        made.AsyncClient = lambda **more: kind(**{**more, "follow_redirects": True, "trust_env": True})
        self._httpx = made

    put(HttpCaller, "__init__", trusting)


def _epochs_not_compared() -> None:
    def admit(self: Identity, user_id: str, user: Any, *more: Any) -> None:
        if user is None:
            raise Refused("The user this job runs as is gone, or may not sign in any more.")

    put(Identity, "admit", admit)


def _cookies_in_the_clear() -> None:
    put(
        CookieBox, "closed", lambda self, job, cookies: json.dumps({n: cookies[n] for n in self._names if n in cookies})
    )
    put(CookieBox, "opened", lambda self, job, kept: "; ".join("=".join(one) for one in json.loads(kept).items()))


def _cookies_of_any_job() -> None:
    closed, opened = CookieBox.closed, CookieBox.opened
    put(CookieBox, "closed", lambda self, job, cookies: closed(self, "any", cookies))
    put(CookieBox, "opened", lambda self, job, kept: opened(self, "any", kept))


def _grants_unsigned() -> None:
    put(grant, "_mac", lambda key, payload, request: "0")


def _grants_of_any_time() -> None:
    put(grant, "SECONDS", 1e12)


def _grants_used_twice() -> None:
    put(Grants, "use", lambda self, *given: True)


def _grants_from_outside() -> None:
    opened = Gate.opened
    put(Gate, "opened", lambda self, token, request, *, inside: opened(self, token, request, inside=True))


def _owners_not_asked() -> None:
    put(Visitor, "sees", lambda self, job: True)


def _tokens_unsigned() -> None:
    put(Signer, "verify_signature", lambda self, value, signature: True)


def _permissions_not_asked() -> None:
    async def allowed(self: Access, request: Any, *more: Any) -> Visitor:
        return await self.visitor(request)

    put(Access, "allowed", allowed)


def _development_from_anywhere() -> None:
    put_everywhere(is_local, lambda connection: True)


def _markup_not_escaped() -> None:
    def raw() -> Any:
        made = environment()
        made.autoescape = False
        return made

    put_everywhere(environment, raw)


def _no_policy() -> None:
    put(safety, "HEADERS", {name: value for name, value in safety.HEADERS.items() if "policy" not in name})


def _writes_from_anywhere() -> None:
    put_everywhere(from_our_pages, lambda connection: True)


def _links_anywhere() -> None:
    put_everywhere(is_safe, lambda href: True)


def _any_place() -> None:
    put(files, "_checked", str)


def _values_in_statements() -> None:
    def written(schema: Any, t: Any, which: Any) -> Any:
        said = [] if which.owner is None else [text(f"owner = '{which.owner}'".replace(":", r"\:"))]
        return [*asked(schema, t, replace(which, owner=None)), *said]

    put_everywhere(asked, written)


def _any_prefix() -> None:
    put(contradictions, "_TABLE_PREFIX", SimpleNamespace(match=lambda name: True))


def _names_hide_nothing() -> None:
    put_everywhere(is_sensitive, lambda name: False)


def _files_open_to_others() -> None:
    shared: Mapping[str, Any] = vars(os) | {"open": lambda path, flags, mode=0o666: os.open(path, flags, 0o666)}
    put(launch, "os", SimpleNamespace(**shared))


def _control_characters() -> None:
    put_everywhere(printable, str)


def _messages_without_end() -> None:
    put(context, "MAX_MESSAGES", 10**9)


def _output_without_end() -> None:
    init = Reporter.__init__

    def endless(self: Reporter, *given: Any, **more: Any) -> None:
        init(self, *given, **more)
        self._max_log = 10**12

    put(Reporter, "__init__", endless)


def _nothing_written_down() -> None:
    put(Audit, "write", lambda self, *given, **more: None)


def _any_depth() -> None:
    put_everywhere(deeper, lambda *given: False)


def _any_bytes() -> None:
    put(safety, "_unreadable", lambda scope: None)


MITIGATIONS: Mapping[str, Mutant] = {
    "pickles not signed": Mutant(
        "a pickle is loaded only when its signature fits (S01)",
        _pickles_unsigned,
        ["tests/unit/test_pickles.py"],
    ),
    "any type unpickled": Mutant(
        "a pickle has listed types alone (S01)",
        _any_type_unpickled,
        ["tests/unit/test_pickles.py"],
    ),
    "closed tasks open": Mutant(
        "HTTP starts tasks that are declared for it (S02)",
        _closed_tasks_open,
        ["tests/attack/test_s02_names.py"],
    ),
    "names in any case": Mutant(
        "a task is known by its exact name (S02)",
        _names_in_any_case,
        ["tests/attack/test_s02_names.py"],
    ),
    "rows not signed": Mutant(
        "a row that others wrote or changed is held (S03)",
        _rows_unsigned,
        ["tests/worker/test_sealed.py::test_a_changed_row_is_held_and_not_run"],
    ),
    "any path for a route": Mutant(
        "a route job goes to a path of the app (S04)",
        _any_path,
        ["tests/unit/test_target.py"],
    ),
    "redirects followed": Mutant(
        "no redirect is followed and no proxy asked (S04)",
        _redirects_followed,
        ["tests/route_jobs/test_http.py::test_a_redirect_is_not_followed_and_proxies_are_not_asked"],
    ),
    "epochs not compared": Mutant(
        "who has changed the password since, or may not any more, is refused (S05)",
        _epochs_not_compared,
        ["tests/route_jobs/test_gate.py::test_who_may_not_any_more_is_refused"],
    ),
    "cookies in the clear": Mutant(
        "cookies are stored encrypted (S05)",
        _cookies_in_the_clear,
        ["tests/route_jobs/test_secrets.py::test_named_cookies_are_encrypted_and_wiped"],
    ),
    "cookies of any job": Mutant(
        "cookies are of use to their own job alone (S05)",
        _cookies_of_any_job,
        ["tests/route_jobs/test_secrets.py::test_those_of_one_job_are_of_no_use_to_another"],
    ),
    "grants not signed": Mutant(
        "a grant is good for the request that was signed (S06)",
        _grants_unsigned,
        ["tests/route_jobs/test_gate.py::test_a_changed_request_is_refused_and_the_true_one_passes"],
    ),
    "grants of any time": Mutant(
        "a grant is good for half a minute (S06)",
        _grants_of_any_time,
        ["tests/route_jobs/test_gate.py::test_clocks_that_are_off"],
    ),
    "grants good twice": Mutant(
        "a grant is good once (S06)",
        _grants_used_twice,
        ["tests/route_jobs/test_gate.py::test_a_grant_is_good_once"],
    ),
    "grants from outside": Mutant(
        "no grant comes from outside of the process that calls itself (S06)",
        _grants_from_outside,
        ["tests/route_jobs/test_gate.py::test_the_header_from_outside_is_refused"],
    ),
    "owners not asked": Mutant(
        "a job exists for those alone who may see it (S07)",
        _owners_not_asked,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "tokens not signed": Mutant(
        "a token opens what was signed (S07)",
        _tokens_unsigned,
        ["tests/web/test_access.py::test_forged_tokens"],
    ),
    "permissions not asked": Mutant(
        "operators' pages are closed unless a permission opens them (S08)",
        _permissions_not_asked,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "development from anywhere": Mutant(
        "the development rule is for this machine alone (S08)",
        _development_from_anywhere,
        ["tests/web/test_safety.py"],
    ),
    "markup not escaped": Mutant(
        "texts are no markup (S09)",
        _markup_not_escaped,
        ["tests/attack/test_s09_pages.py::test_s09_nothing_runs_on_any_page"],
    ),
    "no policy": Mutant(
        "pages allow their own scripts alone (S09)",
        _no_policy,
        ["tests/web/test_safety.py"],
    ),
    "writes from anywhere": Mutant(
        "writes come from our own pages (S10)",
        _writes_from_anywhere,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "links anywhere": Mutant(
        "links lead to pages and run nothing (S11)",
        _links_anywhere,
        ["tests/web/test_safety.py"],
    ),
    "any place for a file": Mutant(
        "files come from their folder (S11)",
        _any_place,
        ["tests/attack/test_s11_places.py"],
    ),
    "values in statements": Mutant(
        "SQL takes values as parameters (S12)",
        _values_in_statements,
        ["tests/attack/test_s12_queries.py"],
    ),
    "any prefix": Mutant(
        "names of tables are plain words (S12)",
        _any_prefix,
        ["tests/unit/test_settings.py"],
    ),
    "names hide nothing": Mutant(
        "what is secret by its name is shown nowhere (S13)",
        _names_hide_nothing,
        ["tests/attack/test_s13_secrets.py"],
    ),
    "files open to others": Mutant(
        "what a launched process says is its user's alone (S14)",
        _files_open_to_others,
        ["tests/parity/test_launch.py::test_run_04_secrets_reach_the_process_and_nobody_else"],
    ),
    "control characters": Mutant(
        "control characters are escaped where lines are read (S15)",
        _control_characters,
        ["tests/attack/test_s15_logs.py"],
    ),
    "messages without end": Mutant(
        "a job keeps so many messages (S16)",
        _messages_without_end,
        ["tests/attack/test_s16_floods.py::test_s16_what_a_job_says_has_a_bound"],
    ),
    "output without end": Mutant(
        "a job keeps so much output (S16)",
        _output_without_end,
        ["tests/attack/test_s16_floods.py::test_s16_what_a_job_says_has_a_bound"],
    ),
    "nothing written down": Mutant(
        "what operators do is in the audit (S17)",
        _nothing_written_down,
        ["tests/attack/test_s17_actions.py"],
    ),
    "any depth": Mutant(
        "JSON is read to a depth of 64 (S18)",
        _any_depth,
        ["tests/attack/test_s16_floods.py::test_s16_what_is_enqueued_has_a_bound"],
    ),
    "any bytes": Mutant(
        "an address that is no text is refused (S18)",
        _any_bytes,
        ["tests/attack/test_s18_requests.py"],
    ),
}
"""By name; the numbers are those of the threats."""
