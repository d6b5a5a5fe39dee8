"""Errors: what a version gets wrong, as people look for it and learn from it."""

import re
from collections.abc import Iterator

import pytest

from tests.support.scenes.console import Visitor, answered, learnt

PAGE = "/adapters/main/errors"


@pytest.fixture(scope="module")
def anna() -> Iterator[Visitor]:
    with answered().visited() as visitor:
        yield visitor


def pictures(html: str) -> list[str]:
    """Return the task and the place of each picture on a page, in their order."""
    found = re.findall(r"/pictures/(\w+)-0123456789ab/1/(\d)", html)
    return [f"{task} {place}" for task, place in found]


def test_the_most_confident_wrong_answers_come_first(anna: Visitor) -> None:
    html = anna.shown(PAGE)
    assert pictures(html) == ["cars 0", "cars 1", "dogs 2", "dogs 3"]
    assert "90 % sure, image 0 of cars" in html
    assert "among the 4 classes that main@2 has learnt" in html


def test_they_are_filtered_by_version_task_class_and_answer(anna: Visitor) -> None:
    assert pictures(anna.shown(f"{PAGE}?version=1")) == ["cars 0", "cars 3"]
    assert pictures(anna.shown(f"{PAGE}?task=dogs")) == ["dogs 2", "dogs 3"]
    assert pictures(anna.shown(f"{PAGE}?truth=cars/a")) == ["cars 0", "cars 1"]
    assert pictures(anna.shown(f"{PAGE}?answer=dogs/a")) == ["dogs 2", "dogs 3"]
    one = anna.shown(f"{PAGE}?images=1")
    assert pictures(one) == ["cars 0"]
    assert "3 more images" in one


def test_accuracy_has_its_interval_and_classes_have_recall_and_precision(anna: Visitor) -> None:
    html = anna.shown(f"{PAGE}?task=cars")
    row = html[html.index('aria-label="Accuracy on the test') :]
    assert "50.0 %" in row
    assert "15.0 to 85.0 %" in row
    classes = html[html.index('aria-label="Classes"') :]
    cells = [re.findall(r">([^<>]+)</td>", row) for row in classes.split("<tr>")[2:4]]
    assert cells == [
        ["cars", "2", "0", "0", "0.0 %", "–"],
        ["cars", "2", "2", "4", "100.0 %", "50.0 %"],
    ]


def test_what_is_often_confused_leads_to_its_images(anna: Visitor) -> None:
    html = anna.shown(PAGE)
    link = re.search(r'href="/console([^"]+)" aria-label="Images of thing a taken for', html)
    assert link
    assert pictures(anna.shown(link[1].replace("&amp;", "&"))) == ["cars 0", "cars 1"]


def test_a_filter_that_nothing_fits_says_what_there_is(anna: Visitor) -> None:
    assert "no test image is of class" in anna.shown(f"{PAGE}?truth=cars/zebra")
    assert "expected a task with test images" in anna.shown(f"{PAGE}?task=zebras")
    assert anna.get(f"{PAGE}?version=99").status_code == 404


def test_a_version_whose_answers_were_not_kept_says_how_to_measure_it() -> None:
    with learnt("cars").visited() as anna:
        assert "<code>nacre evaluate --versions 1</code>" in anna.shown(PAGE)


def test_a_figure_of_the_accuracies_leads_to_the_errors_behind_it(anna: Visitor) -> None:
    html = anna.shown("/adapters/main/matrix")
    assert 'href="/console/adapters/main/errors?version=2&amp;task=dogs"' in html
