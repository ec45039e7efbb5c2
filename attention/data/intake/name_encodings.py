"""Names in archives that do not say their encoding: decoded as they look, or as said.

A zip marks names in UTF-8 by a flag (APPNOTE.TXT 4.4.4, bit 11); without it they are in whatever code page the packer's
system had. Every possible code page decodes most bytes to something, so what is likely is judged over all names.
"""

import codecs
import re
from collections.abc import Sequence

from attention.errors import InvalidRequest

HIGH = re.compile(rb"[\x80-\xff]+")
SINGLE = ("cp866", "cp1251", "koi8-r", "cp1252", "cp437", "cp850")
"""Code pages of one byte a letter, of DOS and Windows, in Cyrillic and Latin."""


def check_encoding(name: str) -> str:
    """Return the name of an encoding as Python calls it.

    Raises:
        InvalidRequest: there is none of that name.
    """
    try:
        codec = codecs.lookup(name)
        "猫".encode(codec.name, "ignore")
        b"a".decode(codec.name)
    except (LookupError, UnicodeError, ValueError, TypeError):
        raise InvalidRequest(
            f"There is no encoding {name[:40]!r} of names. Common ones are gbk, big5, shift_jis, euc-kr, cp437, cp1252 "
            "and cp866."
        ) from None
    return codec.name


def guess_encoding(names: Sequence[bytes]) -> str:
    """The encoding that names are most likely in."""
    whole = b"/".join(names)
    if whole.isascii():
        return "ascii"
    if _decodes(names, "utf-8"):
        return "utf-8"
    runs = HIGH.findall(whole)
    if all(len(run) % 2 == 0 for run in runs) and _decodes(names, "gb2312"):
        pairs = {run[at : at + 2] for run in runs for at in range(0, len(run), 2)}
        if len(pairs) >= 10 and all(0xB0 <= pair[0] <= 0xC8 for pair in pairs) and _decodes(names, "euc-kr"):
            return "euc-kr"  # all Hangul begin with one of these, of common Chinese characters five in eight
        if sum(0xB0 <= pair[0] <= 0xD7 for pair in pairs) >= 0.6 * len(pairs):
            return "gbk"  # most are among the 3,755 commonest characters
    for encoding in ("shift_jis", "big5", "gbk"):
        if _decodes(names, encoding) and _common(whole.decode(encoding, "ignore"), encoding):
            return encoding
    return max(SINGLE, key=lambda encoding: _letters(names, encoding))


def decode_name(name: bytes, encoding: str) -> str:
    """A name as text; what the encoding cannot decode becomes U+FFFD."""
    return name.decode(encoding, "replace")


def _decodes(names: Sequence[bytes], encoding: str) -> bool:
    try:
        for name in names:
            name.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _common(text: str, encoding: str) -> bool:
    """Whether most characters beyond ASCII are common ones of the language that an encoding is for."""
    high = [letter for letter in text if ord(letter) > 127]
    kana = sum("\u3041" <= letter <= "\u30ff" for letter in high)
    halfwidth = sum("\uff61" <= letter <= "\uff9f" for letter in high)
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in high)
    if encoding == "shift_jis":
        leads = [letter for letter in high if "\u4e00" <= letter <= "\u9fff"]
        level_one = sum(0x88 <= letter.encode(encoding)[0] <= 0x97 for letter in leads)
        return halfwidth == 0 and kana + level_one >= 0.8 * len(high)
    level_one = sum(
        "\u4e00" <= letter <= "\u9fff" and _lead_is_common(letter.encode(encoding)[0], encoding) for letter in high
    )
    return han >= 0.9 * len(high) and level_one >= 0.6 * len(high)


def _lead_is_common(lead: int, encoding: str) -> bool:
    return 0xA4 <= lead <= 0xC6 if encoding == "big5" else 0xB0 <= lead <= 0xD7


def _letters(names: Sequence[bytes], encoding: str) -> float:
    """How far names look like words in a code page: letters, mostly small, of one alphabet beside each other."""
    score = 0.0
    for name in names:
        text = name.decode(encoding, "replace")
        for before, letter in zip(f" {text}", text, strict=False):
            if ord(letter) < 128:
                continue
            if not letter.isalpha():
                score -= 2
                continue
            cyrillic = "\u0400" <= letter <= "\u04ff"
            beside_other = before.isalpha() and ("\u0400" <= before <= "\u04ff") != cyrillic
            capital_inside = letter.isupper() and before.isalpha() and before.islower()
            score += 1 - 2 * (beside_other or capital_inside) - 0.5 * letter.isupper() - (letter in "ªºƒ")
    return score
