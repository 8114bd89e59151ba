"""Licences by one name each, whatever sources write: "by-sa", "CC BY-SA 4.0" and its address are all `cc-by-sa`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from wavemesh.data.sources import SourceModel
from wavemesh.errors import InputError

LICENCES = {
    "cc0": "CC0 and the public domain",
    "cc-by": "attribution",
    "cc-by-sa": "attribution, share alike",
    "cc-by-nd": "attribution, no derivatives",
    "cc-by-nc": "attribution, not commercial",
    "cc-by-nc-sa": "attribution, not commercial, share alike",
    "cc-by-nc-nd": "attribution, not commercial, no derivatives",
    "mit": "MIT",
    "bsd": "BSD",
    "apache": "Apache",
    "gpl": "GNU GPL",
}
# One word for each way to write a term of a licence; longer spellings first.
_SPELLINGS = (
    (r"\bcc[-\s_]?0\b|public\s?domain|\bzero\b", "cc0"),
    (r"non[\s-]?commercial", "nc"),
    (r"no[\s-]?deriv\w*(\s+works)?", "nd"),
    (r"share[\s-]?alike", "sa"),
    (r"attribution", "by"),
    (r"creative\s*commons|\bcc(?=[-\s_]|by|$)", "cc"),
    (r"general public licen[cs]e|gplv", "gpl"),
)
_TERMS = ("by", "nc", "nd", "sa")
# Words that change nothing. Any other word makes a licence an unknown one: "CC BY, the wheels all rights reserved".
_FILLING = {
    *(
        "cc",
        "http",
        "https",
        "www",
        "org",
        "licenses",
        "license",
        "licence",
        "deed",
        "legalcode",
        "legal",
        "code",
        "en",
    ),
    *("the", "international", "unported", "generic", "universal", "united", "states", "dedication", "mark", "version"),
    *("gnu", "software", "clause", "new", "revised", "simplified", "or", "later", "only"),
}


def licence_name(text: str) -> str | None:
    """The key in LICENCES of a licence as sources write it, in any version; None for one that is not known."""
    text = text.lower()
    for pattern, short in _SPELLINGS:
        text = re.sub(pattern, f" {short} ", text)
    words = {word for word in re.findall(r"[^\W_]+", text) if not re.fullmatch(r"v?\d+", word)} - _FILLING
    if "by" in words and words <= set(_TERMS):
        name = "-".join(["cc", *(term for term in _TERMS if term in words)])
    else:
        name = words.pop() if len(words) == 1 else ""
    return name if name in LICENCES else None


def chosen_licences(texts: Sequence[str]) -> list[str]:
    """The licences in any spelling as keys of LICENCES, in its order; raises InputError for one that is not known."""
    names = {text: licence_name(text) for text in texts}
    strange = next((text for text, name in names.items() if name is None), None)
    if strange is not None:
        raise InputError(f"The licence {strange!r} is not known; choose among {', '.join(LICENCES)}.")
    return [name for name in LICENCES if name in names.values()]


def with_licences(models: Sequence[SourceModel], names: Sequence[str]) -> list[SourceModel]:
    """The models, those that are under none of these licences with a refusal. names: keys of LICENCES."""
    return [
        model
        if model.refusal or licence_name(model.licence) in names
        else replace(model, refusal=f"Its licence is {model.licence!r}, not {' or '.join(names)}.")
        for model in models
    ]
