"""Try out the configuration of the service: a line for each thing, OK, WARN or FAIL; the exit code is 1 if any failed.

    attention-lab check
    attention-lab check --format json -o findings.json

Settings come from the environment; ``python -m server settings`` lists them.
"""

import argparse

from attention.commands import report_options
from server.__main__ import check


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of what is found; the configuration is read from the environment."""
    report_options.add_arguments(parser)


def run(chosen: argparse.Namespace) -> int:
    """Do what ``python -m server check`` does."""
    return check(chosen)
