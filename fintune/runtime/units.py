"""Seconds, bytes and small numbers as people say them; every screen and page takes its figures from here.

>>> duration(100)
'1 min 40 s'
"""


def duration(seconds: float) -> str:
    """Hours and minutes, minutes and seconds, or seconds."""
    minutes, rest = divmod(as_shown(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def as_shown(seconds: float) -> int:
    """Whole seconds, from an hour on whole minutes: times that read alike are alike."""
    whole = round(seconds)
    return whole if whole < 3600 else whole - whole % 60


def brief_duration(seconds: float, *, space: str = " ") -> str:
    """Return one figure, or hours and minutes: 4.2 s, 42 s, 12 min, 3 h 05 min; `space` stands before each unit."""
    if seconds < 100:
        return f"{seconds:.1f}{space}s" if seconds < 10 else f"{seconds:.0f}{space}s"
    minutes = round(seconds / 60)
    return f"{minutes}{space}min" if minutes < 60 else f"{minutes // 60}{space}h {minutes % 60:02d}{space}min"


def remaining(seconds: float) -> str:
    """Return a time that is still to pass, which nobody knows to the second."""
    hours, minutes = divmod(round(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{round(seconds)} s"


def size(count: float, *, space: str = " ") -> str:
    """Return bytes as 34.4 kB, 7.6 MB or 3.1 GB."""
    unit, factor = next((u, f) for u, f in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if count >= f or u == "kB")
    return f"{count / factor:.1f}{space}{unit}"


_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905


def spelled(number: int) -> str:
    """Return a number as a sentence has it: in words up to twelve."""
    return _NUMBERS[number] if 0 <= number < len(_NUMBERS) else f"{number:,}"
