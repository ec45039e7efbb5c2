"""The dashboard asks with the key that its environment has, and without one where there is none."""

import pytest

from dashboard import connect


@pytest.mark.parametrize(
    ("key", "sent"), [(None, None), ("", None), (" att_1_x ", "Bearer att_1_x"), ("att_1_x", "Bearer att_1_x")]
)
def test_the_key_comes_from_the_environment(key: str | None, sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTENTION_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("ATTENTION_API_KEY", key)
    with connect.http() as made:
        assert made.headers.get("Authorization") == sent
