"""What holds against each threat of `docs/threat-model.md`, switched off, and the tests that must see it."""

from collections.abc import Mapping

from tests.mutants import taken_away
from tests.mutants.mutant import Mutant

MITIGATIONS: Mapping[str, Mutant] = {
    "pickles not signed": Mutant(
        "a pickle is loaded only when its signature fits (S01)",
        taken_away.pickles_unsigned,
        ["tests/unit/test_pickles.py"],
    ),
    "any type unpickled": Mutant(
        "a pickle has listed types alone (S01)",
        taken_away.any_type_unpickled,
        ["tests/unit/test_pickles.py"],
    ),
    "closed tasks open": Mutant(
        "HTTP starts tasks that are declared for it (S02)",
        taken_away.closed_tasks_open,
        ["tests/attack/test_s02_names.py"],
    ),
    "names in any case": Mutant(
        "a task is known by its exact name (S02)",
        taken_away.names_in_any_case,
        ["tests/attack/test_s02_names.py"],
    ),
    "rows not signed": Mutant(
        "a row that others wrote or changed is held (S03)",
        taken_away.rows_unsigned,
        ["tests/worker/test_sealed.py::test_a_changed_row_is_held_and_not_run"],
    ),
    "any path for a route": Mutant(
        "a route job goes to a path of the app (S04)",
        taken_away.any_path,
        ["tests/unit/test_target.py"],
    ),
    "redirects followed": Mutant(
        "no redirect is followed and no proxy asked (S04)",
        taken_away.redirects_followed,
        ["tests/route_jobs/test_http.py::test_a_redirect_is_not_followed_and_proxies_are_not_asked"],
    ),
    "epochs not compared": Mutant(
        "who has changed the password since, or may not any more, is refused (S05)",
        taken_away.epochs_not_compared,
        ["tests/route_jobs/test_gate.py::test_who_may_not_any_more_is_refused"],
    ),
    "cookies in the clear": Mutant(
        "cookies are stored encrypted (S05)",
        taken_away.cookies_in_the_clear,
        ["tests/route_jobs/test_secrets.py::test_named_cookies_are_encrypted_and_wiped"],
    ),
    "cookies of any job": Mutant(
        "cookies are of use to their own job alone (S05)",
        taken_away.cookies_of_any_job,
        ["tests/route_jobs/test_secrets.py::test_those_of_one_job_are_of_no_use_to_another"],
    ),
    "grants not signed": Mutant(
        "a grant is good for the request that was signed (S06)",
        taken_away.grants_unsigned,
        ["tests/route_jobs/test_gate.py::test_a_changed_request_is_refused_and_the_true_one_passes"],
    ),
    "grants of any time": Mutant(
        "a grant is good for half a minute (S06)",
        taken_away.grants_of_any_time,
        ["tests/route_jobs/test_gate.py::test_clocks_that_are_off"],
    ),
    "grants good twice": Mutant(
        "a grant is good once (S06)",
        taken_away.grants_used_twice,
        ["tests/route_jobs/test_gate.py::test_a_grant_is_good_once"],
    ),
    "grants from outside": Mutant(
        "no grant comes from outside of the process that calls itself (S06)",
        taken_away.grants_from_outside,
        ["tests/route_jobs/test_gate.py::test_the_header_from_outside_is_refused"],
    ),
    "owners not asked": Mutant(
        "a job exists for those alone who may see it (S07)",
        taken_away.owners_not_asked,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "tokens not signed": Mutant(
        "a token opens what was signed (S07)",
        taken_away.tokens_unsigned,
        ["tests/web/test_access.py::test_forged_tokens"],
    ),
    "permissions not asked": Mutant(
        "operators' pages are closed unless a permission opens them (S08)",
        taken_away.permissions_not_asked,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "development from anywhere": Mutant(
        "the development rule is for this machine alone (S08)",
        taken_away.development_from_anywhere,
        ["tests/web/test_safety.py"],
    ),
    "markup not escaped": Mutant(
        "texts are no markup (S09)",
        taken_away.markup_not_escaped,
        ["tests/attack/test_s09_pages.py::test_s09_nothing_runs_on_any_page"],
    ),
    "no policy": Mutant(
        "pages allow their own scripts alone (S09)",
        taken_away.no_policy,
        ["tests/web/test_safety.py"],
    ),
    "writes from anywhere": Mutant(
        "writes come from our own pages (S10)",
        taken_away.writes_from_anywhere,
        ["tests/attack/test_s08_every_route.py"],
    ),
    "links anywhere": Mutant(
        "links lead to pages and run nothing (S11)",
        taken_away.links_anywhere,
        ["tests/web/test_safety.py"],
    ),
    "any place for a file": Mutant(
        "files come from their folder (S11)",
        taken_away.any_place,
        ["tests/attack/test_s11_places.py"],
    ),
    "values in statements": Mutant(
        "SQL takes values as parameters (S12)",
        taken_away.values_in_statements,
        ["tests/attack/test_s12_queries.py"],
    ),
    "any prefix": Mutant(
        "names of tables are plain words (S12)",
        taken_away.any_prefix,
        ["tests/unit/test_settings.py"],
    ),
    "names hide nothing": Mutant(
        "what is secret by its name is shown nowhere (S13)",
        taken_away.names_hide_nothing,
        ["tests/attack/test_s13_secrets.py"],
    ),
    "secrets in the clear": Mutant(
        "what is a Secret is stored encrypted (S13)",
        taken_away.secrets_in_the_clear,
        ["tests/attack/test_s13_secret_arguments.py::test_s13_a_secret_argument_is_stored_and_shown_nowhere"],
    ),
    "secrets of any job": Mutant(
        "a secret opens for its own job alone (S13)",
        taken_away.secrets_of_any_job,
        ["tests/attack/test_s13_secret_arguments.py::test_s13_a_moved_secret_opens_nowhere_else"],
    ),
    "secrets at any place": Mutant(
        "a secret opens at its own place alone (S13)",
        taken_away.secrets_at_any_place,
        ["tests/attack/test_s13_secret_arguments.py::test_s13_a_moved_secret_opens_nowhere_else"],
    ),
    "secrets in texts": Mutant(
        "no text made of a Secret has its value (S13)",
        taken_away.secrets_in_texts,
        ["tests/unit/test_secret.py::test_no_text_of_it_shows_the_value"],
    ),
    "secrets in errors": Mutant(
        "no error of a task with a Secret has an argument (S13)",
        taken_away.secrets_in_errors,
        ["tests/unit/test_secret.py::test_no_error_repeats_a_value_that_does_not_fit"],
    ),
    "secrets in titles": Mutant(
        "a title has secrets masked (S13)",
        taken_away.secrets_in_titles,
        ["tests/unit/test_secret.py::test_a_title_has_it_masked"],
    ),
    "secrets of before shown": Mutant(
        "what was stored before it was a secret is shown no more (S13)",
        taken_away.secrets_of_before_shown,
        ["tests/attack/test_s13_secret_arguments.py::test_s13_what_stays_when_a_field_is_left_empty_is_the_value"],
    ),
    "files open to others": Mutant(
        "what a launched process says is its user's alone (S14)",
        taken_away.files_open_to_others,
        ["tests/parity/test_launch.py::test_run_04_secrets_reach_the_process_and_nobody_else"],
    ),
    "control characters": Mutant(
        "control characters are escaped where lines are read (S15)",
        taken_away.control_characters,
        ["tests/attack/test_s15_logs.py"],
    ),
    "messages without end": Mutant(
        "a job keeps so many messages (S16)",
        taken_away.messages_without_end,
        ["tests/attack/test_s16_floods.py::test_s16_what_a_job_says_has_a_bound"],
    ),
    "output without end": Mutant(
        "a job keeps so much output (S16)",
        taken_away.output_without_end,
        ["tests/attack/test_s16_floods.py::test_s16_what_a_job_says_has_a_bound"],
    ),
    "nothing written down": Mutant(
        "what operators do is in the audit (S17)",
        taken_away.nothing_written_down,
        ["tests/attack/test_s17_actions.py"],
    ),
    "any depth": Mutant(
        "JSON is read to a depth of 64 (S18)",
        taken_away.any_depth,
        ["tests/attack/test_s16_floods.py::test_s16_what_is_enqueued_has_a_bound"],
    ),
    "any bytes": Mutant(
        "an address that is no text is refused (S18)",
        taken_away.any_bytes,
        ["tests/attack/test_s18_requests.py"],
    ),
}
"""By name; the numbers are those of the threats."""
