"""What grows is told from what does not, and the plots are pictures."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

from tests.chaos.arena import Plan
from tests.chaos.plot import plot
from tests.chaos.soak import Sample, grown, write

FLAT = [Sample(n / 6, 300.0, 80, 60, 1500, 12.0, 4.0, 5.0, 60.0 + n % 3) for n in range(24)]


def test_what_stays_as_it_is_has_not_grown() -> None:
    assert list(grown(FLAT)) == []


def test_what_grows_is_named_with_its_figures() -> None:
    leaking = [replace(one, memory=300.0 + 20 * n) for n, one in enumerate(FLAT)]
    assert list(grown(leaking)) == ["memory grew from 470.0 to 710.0 MiB"]


def test_a_few_samples_say_nothing() -> None:
    assert list(grown(FLAT[:7])) == ["the run was too short to say whether anything grows"]


def test_the_report_has_its_plots(tmp_path: Path) -> None:
    write(tmp_path, Plan("sqlite"), FLAT)
    page = (tmp_path / "index.html").read_text()
    assert "Nothing grew." in page
    assert page.count("<svg") == len(list(tmp_path.glob("*.svg"))) == 5
    assert (tmp_path / "samples.csv").read_text().count("\n") == len(FLAT) + 1


def test_a_plot_is_a_picture_with_a_line_for_each_name() -> None:
    picture = ET.fromstring(plot("A & B", "MiB", {"a": [(0, 1), (1, 2)], "b": []}))
    lines = [one for one in picture.iter() if one.tag.endswith("polyline")]
    assert [len((one.get("points") or "").split()) for one in lines] == [2, 0]
