"""Files that systems and programs leave in folders: never data, whatever they hold."""

import re

SYSTEM_NAMES = {
    *("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "recycler"),
    *("lost+found", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "autorun.inf", "icon\r"),
    *("__pycache__", "node_modules", "cvs", "network trash folder", "temporary items", "thevolumesettingsfolder"),
    *("sthumbs.db", "found.000", "pspbrwse.jbf", "zbthumbnail.info", "picasa.ini"),
}
"""Names of files and folders in lower case, of macOS, Windows, Synology, QNAP, version control and viewers."""

LEFTOVER = re.compile(r"~$|^~\$|\.(tmp|temp|part|crdownload|swp|bak|ini)$|^\$", re.IGNORECASE)
"""Copies of editors, Office's locks, and downloads that did not end."""


def left_by_system(path: str) -> bool:
    """Whether any part of a path, written with ``/``, is hidden or was left by a system or program."""
    return any(
        part.startswith(".") or part.lower() in SYSTEM_NAMES or LEFTOVER.search(part) is not None
        for part in path.split("/")
    )
