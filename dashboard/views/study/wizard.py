"""The dialog of a new study in three steps: data, networks, and seeds with the recipe, the plan and its time.

All steps are drawn at each run and one is seen, so that nothing typed or uploaded is lost on the way back. The address
names the step, so a link opens the dialog, and a run of the whole page leaves it open.
"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import connect, language
from dashboard.language import marked, say
from dashboard.views.study import form
from dashboard.widgets import data_sets, jobs, linked

STEP = "new"
"""In the address: the step of a new study that is open."""
STEPS = {"data": marked("Data"), "networks": marked("Networks"), "recipe": marked("Seeds and recipe")}


def offer() -> None:
    """Draw the button of a new study, and its dialog while the address names a step or networks that a link brings."""
    st.button(
        say("New study"),
        type="primary",
        icon=":material/add_circle:",
        key="new",
        on_click=_go,
        args=(next(iter(STEPS)),),
    )
    if linked.given(form.ARM) and not linked.words(STEP):
        _go("networks")
    if linked.words(STEP):
        st.dialog(say("New study"), width="large", on_dismiss=close)(_draw)()


def close() -> None:
    """Take the dialog and what its form has written out of the address; the session keeps what was chosen."""
    for key in set(st.query_params) - {jobs.ADDRESS, language.KEY}:
        linked.write(key, [])


def _go(step: str) -> None:
    linked.write(STEP, [step])


def _draw() -> None:
    """Draw the heads of the steps, all steps, of which one is seen, and the ways back and on."""
    wanted_step = linked.words(STEP)[-1]
    heads = st.container(horizontal=True)
    with _step("data", wanted_step):
        data = data_sets.data_set()
    with _step("networks", wanted_step):
        arms = form.networks(connect.catalog(), data) if data else None
    with _step("recipe", wanted_step):
        request = form.question(data, arms) if data and arms else None
        ready = wanted_step == "recipe" and request is not None and form.estimate(request)
    names = list(STEPS)
    reached = 0 if data is None else 1 if arms is None else 2
    at = min(names.index(wanted_step) if wanted_step in names else 0, reached)
    if names[at] != wanted_step:
        _go(names[at])
        st.rerun()
    with heads:
        for number, (name, label) in enumerate(STEPS.items()):
            st.button(
                f"{number + 1} · {say(label)}",
                type="primary" if number == at else "secondary",
                key=f"step.{name}",
                disabled=number > reached,
                on_click=_go,
                args=(name,),
            )
    with st.container(horizontal=True, horizontal_alignment="distribute" if at else "right"):
        if at:
            st.button(say("Back"), icon=":material/arrow_back:", key="back", on_click=_go, args=(names[at - 1],))
        if at < len(names) - 1:
            on, label = names[at + 1], say("Next: %(step)s", step=say(STEPS[names[at + 1]]))
            st.button(label, type="primary", key="next", disabled=at == reached, on_click=_go, args=(on,))
        elif ready and st.button(say("Start the study"), type="primary", icon=":material/play_arrow:", key="start"):
            assert request is not None  # else it is not ready
            close()
            form.start(request)


def _step(name: str, shown: str) -> DeltaGenerator:
    """A place for the fields of a step, which the style sheet hides unless it is the step that is shown."""
    return st.container(key=f"study-{'step' if name == shown else 'hidden'}-{name}")
