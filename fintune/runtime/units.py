"""Seconds as people say them.

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
