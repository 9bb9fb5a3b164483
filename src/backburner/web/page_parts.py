"""`PageParts`: the bar, the holding element and the notice of a job as markup, for templates of the app's own."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from markupsafe import Markup

from backburner.job import Job
from backburner.version import VERSION
from backburner.web.sight import title_of

_LINK = Markup('<a href="{}">{}</a>')


class PageParts:
    """Markup for templates, all values escaped. `at` is where `web_app` is mounted, or says it for the request at hand.

    `job` is a `Job` or an id; a `token` of `job_token` opens it to people who are not signed in.

        parts = PageParts()
        print(parts.head(), parts.bar(job, log=True))
    """

    def __init__(self, at: str | Callable[[], str] = "/backburner") -> None:
        self._at = at

    @property
    def at(self) -> str:
        """Where `web_app` is mounted, without a slash at its end."""
        return (self._at if isinstance(self._at, str) else self._at()).rstrip("/")

    def head(self) -> Markup:
        """Sheet and script, once for each page that shows any of these."""
        return Markup(
            '<link rel="stylesheet" href="{0}/static/backburner.css?v={1}">'
            '<script type="module" src="{0}/static/backburner.js?v={1}"></script>'
        ).format(self.at, VERSION)

    def bar(
        self, job: Job | str, *, cancel: bool = True, log: bool = False, retry: bool = True, dismiss: bool = False,
        label: str | None = None, token: str | None = None,
    ) -> Markup:  # fmt: skip
        """The bar: with a Cancel button, and when asked for with live output, or a button that removes it."""
        more = {"retry": None if retry else "off", "label": label}
        flags = {"cancel": cancel, "log": log, "dismiss": dismiss}
        return self._element("backburner-progress", job, more, flags, token)

    def wait(
        self, job: Job | str, *, then: str | None = None, failed: str | None = None, cancel: bool = True,
        log: bool = False, token: str | None = None,
    ) -> Markup:  # fmt: skip
        """What the holding page has: the bar with stages, which leads to `then` or `failed` at the end."""
        return self._element(
            "backburner-wait", job, {"then": then, "failed": failed}, {"cancel": cancel, "log": log}, token
        )

    def notice(self, job: Job, *, token: str | None = None) -> Markup:
        """A sentence for who has just started a job: that it runs in the background, and where it is seen."""
        return Markup("“{}” runs in the background, number …{}. {}").format(
            title_of(job), job.id[-4:], _LINK.format(self.page(job, token=token), "See how far it is")
        )

    def page(self, job: Job | str, *, token: str | None = None) -> str:
        """The path of the job's holding page."""
        return f"{self._path(job)}/wait{_query(token)}"

    def _path(self, job: Job | str) -> str:
        return f"{self.at}/jobs/{quote(job.id if isinstance(job, Job) else job, safe='')}"

    def _element(
        self, name: str, job: Job | str, texts: dict[str, str | None], flags: dict[str, bool], token: str | None
    ) -> Markup:
        attributes = Markup("").join(
            Markup(' {}="{}"').format(key, value) for key, value in texts.items() if value is not None
        )
        attributes += Markup("").join(Markup(" {}").format(key) for key, value in flags.items() if value)
        title = title_of(job) if isinstance(job, Job) else "the job"
        # What stands inside is for browsers without scripts.
        inside = _LINK.format(self.page(job, token=token), f"See how far {title} is")
        return Markup('<{0} src="{1}{2}"{3}>{4}</{0}>').format(name, self._path(job), _query(token), attributes, inside)


def _query(token: str | None) -> str:
    return f"?token={quote(token, safe='')}" if token else ""
