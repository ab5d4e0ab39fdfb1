"""The language of a text, by its script and its small words: enough to tell the languages of one data set apart.

>>> [language_of_text(text) for text in ("The profit of the bank is up", "Der Gewinn der Bank ist gestiegen", "利润上升", "EBIT +3")]
['English', 'German', 'Chinese', None]
"""

import re
import unicodedata
from collections import Counter

_LETTERS = 400
"""Letters of a text that are looked at."""
_FEWEST = 2
"""Small words that a language of the Latin script is known by."""
_SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
_SMALL_WORDS = {
    "English": "the of and to is for with by from that has was are",
    "German": "der die das und ist von mit den auf für dem im sich nicht ein eine",
    "French": "le les des et est du une dans pour sur avec par au aux qui",
    "Spanish": "el los las y es del una por con para se al su más",
    "Italian": "il gli di è della una per con che nel al sono più dei",
    "Portuguese": "os as do da em é uma por com para não no na dos",
    "Dutch": "het een van en is met voor op dat niet zijn aan door bij",
}
_WORDS = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}


def language_of_text(text: str) -> str | None:
    """Return a language, of scripts that many languages share the script; None where too little tells it."""
    scripts = Counter(unicodedata.name(letter, "?").partition(" ")[0] for letter in text[:_LETTERS] if letter.isalpha())
    if not scripts:
        return None
    if scripts["HIRAGANA"] + scripts["KATAKANA"] and scripts.most_common(1)[0][0] in _SCRIPTS:
        return "Japanese"
    script = scripts.most_common(1)[0][0]
    return _by_words(text) if script == "LATIN" else _SCRIPTS.get(script, f"{script.title()} script")


def _by_words(text: str) -> str | None:
    """Return the one language most of whose small words occur, if it is one alone."""
    words = Counter(re.findall(r"\w+", text.casefold()))
    first, second = Counter({name: sum(words[w] for w in own) for name, own in _WORDS.items()}).most_common(2)
    return first[0] if first[1] >= max(_FEWEST, second[1] + 1) else None
