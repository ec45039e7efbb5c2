"""Make, list or revoke API keys of the service.

attention-lab keys create NAME [--operator] [--bytes N]
attention-lab keys list
attention-lab keys revoke NAME
"""

import argparse

from server.__main__ import add_key_actions, keys, read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action and the name of the key."""
    add_key_actions(parser)


def run(chosen: argparse.Namespace) -> None:
    """Do what ``python -m server keys`` does."""
    keys(read_settings(), chosen)
