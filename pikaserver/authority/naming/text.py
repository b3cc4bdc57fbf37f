"""What any text in a name must keep to: no hidden characters, no letters that only look alike."""

import unicodedata

from pikaserver.api.errors import RequestRejected

_HIDDEN = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Cs": "half a surrogate pair",
    "Co": "a private-use character",
    "Cn": "an unassigned character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}

# Letters of these scripts are easily taken for each other; others (kana with Han) mix by nature.
_CONFUSABLE_SCRIPTS = frozenset(
    {"LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL"}
)


def check_text(text: str) -> None:
    """Return when a text is fit for a name that people read.

    Raises:
        RequestRejected: empty, hidden characters, white space that cannot be seen, not in
            Normalization Form C, or a word of look-alike letters from several scripts.
    """
    if not text:
        raise RequestRejected("it is empty")
    for character in text:
        hidden = _HIDDEN.get(unicodedata.category(character))
        if hidden is not None:
            raise RequestRejected(f"it has {hidden} (U+{ord(character):04X})")
        if character.isspace() and character != " ":
            raise RequestRejected(f"it has unusual white space (U+{ord(character):04X})")
    if text != " ".join(text.split()):
        raise RequestRejected("it begins or ends with a space, or has two in a row")
    if not unicodedata.is_normalized("NFC", text):
        raise RequestRejected("it is not in Unicode Normalization Form C")
    for word in text.split():
        check_scripts(word)


def check_scripts(word: str) -> None:
    """Return when a word does not mix scripts whose letters look alike.

    Raises:
        RequestRejected: it does, like a Latin word with one Cyrillic letter.
    """
    if word.isascii():
        return
    scripts = {_script(letter) for letter in word if letter.isalpha()} & _CONFUSABLE_SCRIPTS
    if len(scripts) > 1:
        raise RequestRejected(f"it mixes look-alike letters: {', '.join(sorted(scripts))}")


def _script(letter: str) -> str:
    # The first word of a letter's Unicode name is its script: LATIN SMALL LETTER A.
    return unicodedata.name(letter, "").partition(" ")[0]
