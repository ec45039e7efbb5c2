"""Names of archives that do not say their encoding come out as they were typed."""

import pytest

from attention.data.intake.name_encodings import check_encoding, guess_encoding
from attention.errors import InvalidRequest

NAMES = {
    "gbk": ["猫", "狗"],
    "gbk ": ["向日葵", "玫瑰", "郁金香", "蒲公英", "雏菊"],
    "big5": ["貓咪", "狗狗", "向日葵", "鬱金香"],
    "shift_jis": ["ねこ", "いぬ", "ヒマワリ", "桜"],
    "euc-kr": ["고양이", "강아지", "해바라기", "장미", "튤립"],
    "cp866": ["кошка", "собака", "лошадь"],
    "cp1251": ["кошка", "собака", "лошадь"],
    "cp1252": ["Käse", "Brötchen", "Crème brûlée", "Äpfel"],
    "cp437": ["chaîne", "théâtre", "forêt", "Glühwein"],
    "utf-8": ["café", "猫"],
    "ascii": ["cat", "dog"],
}


@pytest.mark.parametrize("encoding", NAMES)
def test_names_are_decoded_as_they_look(encoding: str) -> None:
    codec = encoding.strip()
    raw = [f"{name}/{number}.jpg".encode(codec) for name in NAMES[encoding] for number in range(3)]
    decoded = [name.decode(guess_encoding(raw)) for name in raw]
    assert decoded == [name.decode(codec) for name in raw]


@pytest.mark.parametrize("name", ["klingon", "", "rot13", "hex", "zip", "\0"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no encoding"):
        check_encoding(name)
