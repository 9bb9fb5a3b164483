"""Reports: light looks at many jobs at once, for pages and streams."""

from dataclasses import replace
from datetime import timedelta

from backburner.attachment import Attachment
from backburner.job import ClaimedJob, JobFilter
from backburner.progress import LogLine, Message, Progress, ProgressWrite
from tests.store.scene import Scene

UNKNOWN = "01a1fe3d-8c27-72b1-84a0-4f9b196f4b46"


def report(scene: Scene, job: ClaimedJob, texts: list[str]) -> None:
    """One line of output and one message per text."""
    now, at = scene.clock.now(), 0
    for ordinal, text in enumerate(texts, 1):
        line, message = LogLine(at, text, now), Message("info", text, now, ordinal)
        write = ProgressWrite(job.id, job.attempt, Progress(done=ordinal), log=(line,), messages=(message,))
        assert scene.store.progress.write([write]) == {job.id}
        at += len(text)


def test_a_glance_is_the_job_without_what_may_be_long(scene: Scene) -> None:
    job = scene.running(title="Export", tags='["red"]', meta='{"a":1}', options='{"timeout":5}', context="{}")
    report(scene, job, ["one"])
    seen = scene.store.reports.glance([job.id, UNKNOWN, "nonsense", "'"])
    whole = scene.get(job.id)
    assert whole.args != "{}"
    assert seen == {job.id: replace(whole, args="{}", result_text=None, meta=None, options=None, context=None)}
    assert scene.store.reports.glance([]) == {}


def test_pages_are_lists_of_glances(scene: Scene) -> None:
    ids = scene.insert(5, queue="mail")
    scene.insert(2)
    reports, which = scene.store.reports, JobFilter(queue="mail")
    first = reports.page(which, 2)
    assert [job.id for job in first] == ids[:-3:-1]
    assert [job.id for job in reports.page(replace(which, before=first[-1].id), 10)] == ids[2::-1]


def test_output_of_several_jobs_from_their_offsets(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.running(worker), scene.running(worker)
    report(scene, first, ["a\n", "bb\n", "c\n"])
    report(scene, second, ["x\n", "y\n"])
    reports = scene.store.reports
    found = reports.log_after({first.id: 2, second.id: 0, UNKNOWN: 0}, 100)
    assert {job: [line.text for line in lines] for job, lines in found.items()} == {
        first.id: ["bb\n", "c\n"],
        second.id: ["x\n", "y\n"],
    }
    assert sum(map(len, reports.log_after({first.id: 0, second.id: 0}, 3).values())) == 3
    assert reports.log_after({}, 3) == {}


def test_output_from_the_piece_that_holds_an_offset(scene: Scene) -> None:
    job = scene.running()
    report(scene, job, ["a\n", "bb\n", "c\n"])
    texts = [[line.text for line in scene.store.reports.log_from(job.id, at, 10)] for at in (0, 3, 4, 5, 99)]
    assert texts == [["a\n", "bb\n", "c\n"], ["bb\n", "c\n"], ["bb\n", "c\n"], ["c\n"], ["c\n"]]
    assert [line.text for line in scene.store.reports.log_from(job.id, 0, 1)] == ["a\n"]
    assert scene.store.reports.log_from(UNKNOWN, 0, 10) == []


def test_messages_behind_a_number(scene: Scene) -> None:
    worker = scene.worker()
    first, second = scene.running(worker), scene.running(worker)
    report(scene, first, ["a", "b", "c"])
    report(scene, second, ["x"])
    reports = scene.store.reports
    everything = reports.messages_after({first.id: 0, second.id: 0})
    assert [message.text for _, message in everything[first.id]] == ["a", "b", "c"]
    assert [message.text for _, message in everything[second.id]] == ["x"]
    middle = everything[first.id][1][0]
    assert [message.text for _, message in reports.messages_after({first.id: middle})[first.id]] == ["c"]
    assert reports.messages_after({}) == {}


def test_files_and_their_life(scene: Scene) -> None:
    job, other = scene.insert(2)
    now = scene.clock.now()
    for number, (owner, expires) in enumerate(((job, None), (job, now + timedelta(60)), (other, now)), 1):
        file_id = f"01a1fe3d-8c27-72b1-84a0-00000000000{number}"
        scene.store.attachments.add(
            Attachment(file_id, owner, f"{number}.csv", "text/csv", number, f"{owner}/{file_id}", now, expires)
        )
    reports = scene.store.reports
    found = reports.files_of([job, other, "nonsense"])
    assert {owner: [file.size for file in files] for owner, files in found.items()} == {job: [1, 2]}
    late = reports.file("01a1fe3d-8c27-72b1-84a0-000000000003")
    assert late is not None
    assert (late.name, late.expires_at) == ("3.csv", now)
    assert reports.file(UNKNOWN) is None
    assert reports.file("nonsense") is None
    assert reports.files_of([]) == {}
