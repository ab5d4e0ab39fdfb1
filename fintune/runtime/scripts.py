"""Scripts whose words stand without blanks between them: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

>>> lacks_blanks(["利润大增"]), lacks_blanks(["Profit rose"])
(True, False)
"""

import re
from collections.abc import Sequence

UNSPACED = (
    r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\U00020000-\U0003ffff"
)
"""Their letters, as they stand within the brackets of a regular expression."""
_LETTER = re.compile(f"[{UNSPACED}]")


def lacks_blanks(texts: Sequence[str]) -> bool:
    """Whether most letters are of such scripts."""
    letters = sum(sum(map(str.isalnum, text)) for text in texts)
    return 2 * sum(len(_LETTER.findall(text)) for text in texts if not text.isascii()) > letters
