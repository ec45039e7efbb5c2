"""What tests of pages share: drawn data as tables, words on a page, a small labelled data set, a job done here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

import dashboard
from attention.client import Client
from server.jobs.worker import run_job
from server.settings import Settings

CHART = "vega_lite_chart"


def tables(page: AppTest) -> list[pd.DataFrame]:
    """What every chart of a page was given to draw, in order."""
    return [
        convert_arrow_bytes_to_pandas_df(data.data.data) for chart in page.get(CHART) for data in chart.proto.datasets
    ]


def table(page: AppTest, *columns: str) -> pd.DataFrame:
    """The first table drawn that has these columns."""
    return next(one for one in tables(page) if set(columns) <= set(one.columns))


def texts(elements: Any) -> str:
    """All that some elements say."""
    return "\n".join(str(element.value) for element in elements)


def linked(page: AppTest, name: str) -> list[str]:
    """What the page's address says, always as a list."""
    value = page.query_params.get(name, [])
    return [value] if isinstance(value, str) else list(value)


def write_pets(settings: Settings, classes: Sequence[str] = ("cat", "dog"), count: int = 6) -> None:
    """A data set of smooth noise, a folder a class."""
    for split in ("train", "test"):
        for number, label in enumerate(classes):
            folder = settings.folder / "datasets" / "pets" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng(1000 * number + index + (500 if split == "test" else 0))
                coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC).save(folder / f"{index}.png")


def done(client: Client, settings: Settings) -> str:
    """Do the newest job here and now; its id."""
    job = client.jobs()[0]
    run_job(settings, job.id)
    found = client.job(job.id)
    assert found.state == "done", found.error
    return found.id


def page_of(name: str) -> Path:
    """The file of a page."""
    return Path(dashboard.__file__).parent / "views" / f"{name}.py"
