"""What a license's name, however it is written, says of commercial use."""

import pytest

from fintune.data.quality.licenses import License, commerce

FORBIDS = [
    "CC BY-NC-SA 3.0", "CC_BY_NC_SA", "cc-by-nc-4.0", "CC-BY-NC-ND-4.0", "CCBYNCSA 4.0", "ccbync", "BY-NC", "(CC) BY NC",
    "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/", "academic use only", "Academic_Use", "not for commercial use",
    "Not to be used for any commercial purpose", "no commercial use", "non-commercial", "noncommercial", "Non commercial research",
    "research only", "for research purposes", "research-only", "personal use", "evaluation only", "for education and teaching",
    "commercial use is prohibited", "Commercial use requires permission", "commercial use: not allowed", "Free except for commercial use",
    "PolyForm-Noncommercial-1.0.0", "BUSL-1.1", "仅供学术研究使用", "禁止商用", "非商业用途", "nicht-kommerziell", "MIT, research only",
    "MIT AND CC-BY-NC-4.0", "(MIT OR Apache-2.0) AND CC-BY-NC-4.0", "CC BY 4.0; not for commercial use", "ＣＣ　ＢＹ－ＮＣ",
]  # fmt: skip
ALLOWS = [
    "MIT", "mit", "The MIT License (MIT)", "MIT-0", "Apache-2.0", "Apache License, Version 2.0", "apache2", "BSD-3-Clause", "0BSD",
    'BSD 3-Clause "New" or "Revised" License', "ISC", "Zlib", "BSL-1.0", "Unlicense", "The Unlicense", "CC0", "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "public domain", "CC BY 4.0", "cc_by_4.0", "cc-by-sa-3.0", "CCBY",
    "Creative Commons Attribution 4.0 International", "Creative Commons Attribution-ShareAlike 4.0", "AFL-3.0",
    "CC-BY-3.0-US", "https://creativecommons.org/licenses/by/4.0/", "https://creativecommons.org/publicdomain/zero/1.0/",
    "ODC-By-1.0", "ODbL-1.0",
    "PDDL-1.0", "CDLA-Permissive-2.0", "GPL-2.0+", "GPL-3.0-or-later", "LGPLv3", "MPL-2.0", "Academic Free License v3.0",
    "OpenMDW-1.0", "OGL-UK-3.0",
    "MIT OR CC-BY-NC-4.0", "MIT and Apache-2.0", "Apache-2.0 WITH LLVM-exception", "granted: by contract of May 2024", "Granted: NC too",
]  # fmt: skip
UNKNOWN = [
    None, "", " ", "unknown", "UNKNOWN", "other", "n/a", "house rules", "proprietary", "All rights reserved", "granted:", "CC BY-ND 4.0",
    "MIT, but ask first", "like CC BY", "no restrictions on commercial use", "v2.0", "Gemma Terms of Use", "summit",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [(t, k) for k, texts in (("forbids", FORBIDS), ("allows", ALLOWS), ("unknown", UNKNOWN)) for t in texts],
)
def test_what_a_name_says_of_commercial_use(text: str | None, kind: str) -> None:
    assert License.parse(text).commerce == kind


def test_the_strictest_of_several_sources_holds() -> None:
    free, bound, unsaid = {"license": "MIT"}, {"license": "CC_BY_NC_SA"}, {"license": None}
    assert commerce([free]) == "allows"
    assert commerce([free, unsaid]) == "unknown"
    assert commerce([free, unsaid, bound]) == "forbids"


@pytest.mark.parametrize(("text", "shown"), [(None, "not said"), ("unknown", "not said"), ("CC BY 4.0", "CC BY 4.0")])
def test_what_nobody_said_is_shown_as_such(text: str | None, shown: str) -> None:
    assert str(License.parse(text)) == shown
