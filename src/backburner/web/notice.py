"""`notice`: what an app says to people right after it has started a job for them."""

from __future__ import annotations

from urllib.parse import quote

from markupsafe import Markup

from backburner.job import Job
from backburner.web.language import language
from backburner.web.respond import mounted_at
from backburner.web.sight import title_of


def notice(job: Job, *, at: str = "/backburner", lang: str = "en", token: str | None = None) -> Markup:
    """A sentence with links: it runs in the background, with this ID; follow it here, find it later there.

    It is escaped, and templates of Jinja and Django take it as the markup that it is; `.striptags()` makes it plain
    text. `at` is where `web_app` is mounted, `lang` is en, cs or de, `token` one of `job_token`, for people who are not
    signed in. Raises `InvalidOption`.

        flash(notice(export.enqueue("2026-10")))
    """
    root, words = mounted_at(at), language(lang)
    query = f"?token={quote(token, safe='')}" if token else ""
    link = Markup('<a href="{}">{}</a>')
    # Our own text, with its places for values as they are: they are filled by what escapes them.
    text = Markup(words.say("notice", title="{title}", id="{id}", follow="{follow}", list="{list}"))  # noqa: S704
    said = text.format(
        title=title_of(job),
        id=f"…{job.id[-4:]}",
        follow=link.format(f"{root}/jobs/{job.id}/wait{query}", words.say("follow")),
        list=link.format(f"{root}/mine", words.say("mine")),
    )
    return Markup('<span class="bb-notice" lang="{}">{}</span>').format(words.code, said)
