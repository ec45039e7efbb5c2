""":material/school: Learn: how channel attention works, from the modules of this service themselves."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import streamlit as st

from dashboard.language import marked, say, show_caption
from dashboard.views.learn import lesson0, lessons
from dashboard.widgets import linked, links

LESSON = "lesson"
"""Number of the lesson, in the address."""


class Lesson(NamedTuple):
    """A lesson: its name in the list of lessons, its title, what draws it, and where it can be tried."""

    name: str
    title: str
    show: Callable[[], None]
    page: str = ""
    link: str = ""
    parameters: links.Parameters | None = None


HEARING = marked("Who hears whom in the trained network")
LESSONS: Mapping[str, Lesson] = {
    "0": Lesson(marked("0 One gate"), marked("0. One photo's way through one gate"), lesson0.show),
    "1": Lesson(
        marked("1 Filter"),
        marked("1. One filter that slides along the channels"),
        lessons.operator,
        "module",
        HEARING,
        {"name": "eca"},
    ),
    "2": Lesson(
        marked("2 Reach"),
        marked("2. How far does the filter reach?"),
        lessons.kernel,
        "price",
        marked("What a filter of another length costs"),
        {"backbone": "resnet50", "attention": ["eca"], "more": ["resnet50/eca(kernel_size=9)"]},
    ),
    "3": Lesson(
        marked("3 Band and rank"),
        marked("3. Who listens to whom: a band, and a low rank"),
        lessons.interaction,
        "module",
        HEARING,
        {"name": "se"},
    ),
    "4": Lesson(
        marked("4 Places"),
        marked("4. Three places to put it"),
        lessons.places,
        "price",
        marked("What each place costs"),
        {"backbone": "resnet50", "attention": ["eca"], "more": ["resnet50/eca@tail", "fpn_resnet50/eca@branch"]},
    ),
    "5": Lesson(
        marked("5 Published"),
        marked("5. What it brings, as published"),
        lessons.results,
        "overview",
        marked("In the answer table"),
        {"evidence": "eca_resnet50"},
    ),
    "6": Lesson(
        marked("6 Fresh start"),
        marked("6. What a fresh module does to a trained network"),
        lessons.starts,
        "look",
        marked("Fresh gates on a photo"),
        {"net": ["none"], "variant": ["resnet18(width=0.25)/se?classes=5", "resnet18(width=0.25)/eca?classes=5"]},
    ),
}
"""The lessons by their numbers, in their order."""


def main() -> None:
    st.title(say("Learn"), anchor=False)
    show_caption(
        "Channel attention in seven lessons. Nothing is drawn by hand: every picture is computed by the modules that "
        "this service runs, or shows published numbers with their source."
    )
    names = {number: say(lesson.name) for number, lesson in LESSONS.items()}
    chosen = linked.choice(
        st.segmented_control, say("Lesson"), names, LESSON, "0", wrap=False, label_visibility="collapsed"
    )
    lesson = LESSONS[chosen]
    st.header(say(lesson.title), anchor=False)
    lesson.show()
    following = str(int(chosen) + 1)
    with st.container(horizontal=True):
        if lesson.page:
            links.to(lesson.page, say(lesson.link), ":material/play_arrow:", lesson.parameters)
        if following in LESSONS:
            links.to("learn", say(LESSONS[following].title), ":material/arrow_forward:", {LESSON: following})


main()
