"""Screenshots of every page, wide and on a phone, light and dark, into docs/pages.

    python -m benchmarks.pictures [--into FOLDER] [--address URL]

Starts the service on a fresh data folder, or takes the one at an address, and says the bytes of all pictures together.
"""

import argparse
import io
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

from benchmarks.browser import PAGES, chromium, service, settle

FOLDER = Path(__file__).parents[1] / "docs" / "pages"
WIDE, PHONE = 1400, 420
TALLEST = {WIDE: 1450, PHONE: 1900}
"""Height at which a picture of each width is cut off, pixels."""
COLOURS = 192
"""Of a picture: pages are flat colours, and photos stay recognisable."""
SETTLED = 4
"""Rounds in which the colours are moved to where most pixels are, so that colour scales stay true."""


@dataclass(frozen=True)
class Shot:
    """One picture: a page at a width, in a theme and a language."""

    page: str
    width: int
    theme: str = "light"
    language: str = "en"

    @property
    def file(self) -> str:
        """Its file's name."""
        theme = "-dark" if self.theme == "dark" else ""
        language = "-zh" if self.language == "zh" else ""
        return f"{self.page}-{self.width}{theme}{language}.png"


def shots() -> Iterator[Shot]:
    """Every page at both widths, and wide in the dark; the first two in Chinese, too."""
    for page in PAGES:
        yield Shot(page, WIDE)
        yield Shot(page, WIDE, "dark")
        yield Shot(page, PHONE)
    for page in ("overview", "look"):
        yield Shot(page, WIDE, language="zh")
        yield Shot(page, PHONE, "dark", "zh")


def take(browser: Browser, address: str, shot: Shot) -> bytes:
    """A picture of a page as PNG, from its top to its end or to the height at which it is cut off."""
    path = PAGES[shot.page]
    context = browser.new_context(viewport={"width": shot.width, "height": 900}, color_scheme=shot.theme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={shot.language}")
        settle(page)
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": shot.width, "height": min(int(height), TALLEST[shot.width])})
        settle(page)
        return small(page.screenshot())
    finally:
        context.close()


def small(png: bytes) -> bytes:
    """The picture in few colours."""
    with Image.open(io.BytesIO(png)) as image:
        few = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, SETTLED, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def listing(taken: dict[Shot, int]) -> str:
    """A page that shows all pictures."""
    lines = [
        "# The pages",
        "",
        "Made by `python -m benchmarks.pictures`: a service on a fresh data folder, in Chromium.",
        "",
    ]
    for page in PAGES:
        lines += [f"## {page.capitalize()}", ""]
        lines += [
            f"![{page}, {shot.width} pixels, {shot.theme}, {shot.language}]({shot.file})"
            for shot in taken
            if shot.page == page
        ]
        lines += [""]
    return "\n".join(lines)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--address", metavar="URL", help="of a dashboard that runs already")
    chosen = parser.parse_args()
    chosen.into.mkdir(parents=True, exist_ok=True)
    taken: dict[Shot, int] = {}
    with ExitStack() as stack:
        address = chosen.address
        if address is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            address = stack.enter_context(service(Path(folder))).pages
        browser = stack.enter_context(chromium())
        for shot in shots():
            picture = take(browser, address, shot)
            (chosen.into / shot.file).write_bytes(picture)
            taken[shot] = len(picture)
            print(f"{shot.file:<28} {len(picture) / 1e3:7.1f} kB", flush=True)
    (chosen.into / "README.md").write_text(listing(taken), "utf-8")
    print(f"{len(taken)} pictures, {sum(taken.values()) / 1e6:.2f} MB together.")


if __name__ == "__main__":
    main()
