"""Try out the configuration of the service: a line for each thing, OK, WARN or FAIL; the exit code is 1 if any failed.

    attention-lab check

Settings come from the environment; ``python -m server settings`` lists them.
"""

import argparse

from server.__main__ import main


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: the configuration is read from the environment."""


def run(chosen: argparse.Namespace) -> None:
    """Do what ``python -m server check`` does."""
    main(["check"])
