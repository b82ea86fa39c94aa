"""Check digits: whether a number is one that its issuer could have given out, by the digits that guard it.

A random number passes one guard in ten or so by chance; a column of which nearly all values pass does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["NATIONAL_IDS", "is_card", "is_iban", "luhn"]

_CARD = re.compile(  # the beginnings and lengths that card issuers use
    r"(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17})"
)
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}")
_NINO = re.compile(
    r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]", re.IGNORECASE
)
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD_CODICE = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def luhn(digits: str) -> bool:
    """Return whether the last digit guards the others by the rule of ISO/IEC 7812 (Luhn).

    Examples
    --------
    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(text: str) -> bool:
    """Return whether `text` is a payment card's number, in digits, or in groups parted by blanks or dashes.

    Examples
    --------
    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = re.sub(r"(?<=\d)[ -](?=\d)", "", text)
    return bool(_CARD.fullmatch(digits)) and luhn(digits)


def is_iban(text: str) -> bool:
    """Return whether `text` is an account's number by ISO 13616: as a number, its remainder by 97 is 1.

    Examples
    --------
    >>> is_iban("DE89 3704 0044 0532 0130 00"), is_iban("DE88 3704 0044 0532 0130 00")
    (True, False)
    """
    plain = text.replace(" ", "").upper()
    return (
        bool(_IBAN.fullmatch(plain))
        and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
    )


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_date(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _is_ssn(text: str) -> bool:
    return bool(_SSN.fullmatch(text))


def _is_nino(text: str) -> bool:
    return bool(_NINO.fullmatch(text))


def _is_dni(text: str) -> bool:
    found = re.fullmatch(r"([XYZ]?)(\d{7,8})-?([A-Z])", text.upper())
    if not found or len(found[1]) + len(found[2]) != 8:
        return False
    number = int(("" if not found[1] else str("XYZ".index(found[1]))) + found[2])
    return _DNI_LETTERS[number % 23] == found[3]


def _is_codice_fiscale(text: str) -> bool:
    code = text.upper()
    if not re.fullmatch(r"[A-Z]{6}\d\d[A-EHLMPR-T]\d\d[A-Z]\d{3}[A-Z]", code):
        return False
    values = [int(c) if c.isdigit() else ord(c) - 65 for c in code[:15]]
    total = sum(_ODD_CODICE[value] if place % 2 == 0 else value for place, value in enumerate(values))
    return chr(65 + total % 26) == code[15]


def _is_nir(text: str) -> bool:
    digits = text.replace(" ", "")
    return bool(re.fullmatch(r"[12]\d\d(?:0[1-9]|1[0-2])\d{10}", digits)) and (
        97 - int(digits[:13]) % 97 == int(digits[13:])
    )


def _is_pesel(text: str) -> bool:
    if not re.fullmatch(r"\d{11}", text) or not _is_date(str(int(text[2:4]) % 20), text[4:6]):
        return False
    return _weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _is_cpf(text: str) -> bool:
    if not re.fullmatch(r"\d{3}\.?\d{3}\.?\d{3}-?\d\d", text):
        return False
    digits = re.sub(r"\D", "", text)
    first = _weighted(digits[:9], tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = _weighted(digits[:10], tuple(range(11, 1, -1))) * 10 % 11 % 10
    return digits[9:] == f"{first}{second}" and len(set(digits)) > 1


def _is_bsn(text: str) -> bool:
    return (
        bool(re.fullmatch(r"\d{9}", text))
        and int(text) > 0
        and _weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0
    )


def _is_personnummer(text: str) -> bool:
    found = re.fullmatch(r"(?:19|20)?(\d\d)(\d\d)(\d\d)[-+]?(\d{4})", text)
    return bool(found) and _is_date(found[2], str(int(found[3]) % 60)) and luhn("".join(found.groups()))  # type: ignore[index,union-attr]


def _is_resident_id(text: str) -> bool:
    if not re.fullmatch(r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]", text) or not _is_date(text[10:12], text[12:14]):
        return False
    weights = tuple(pow(2, 17 - place, 11) for place in range(17))
    return "10X98765432"[_weighted(text[:17], weights) % 11] == text[17].upper()


# The issuer's word for it, and its rule. Those of digits alone and one guard are told by a whole column only.
NATIONAL_IDS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "US social security numbers": _is_ssn,
        "UK national insurance numbers": _is_nino,
        "Spanish DNI or NIE numbers": _is_dni,
        "Italian codici fiscali": _is_codice_fiscale,
        "French social security numbers": _is_nir,
        "Polish PESEL numbers": _is_pesel,
        "Brazilian CPF numbers": _is_cpf,
        "Dutch BSN numbers": _is_bsn,
        "Swedish personal numbers": _is_personnummer,
        "Chinese resident identity numbers": _is_resident_id,
    }
)
