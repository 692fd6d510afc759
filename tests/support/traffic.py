"""What tools say of traffic."""

import re


def ping_summary(text: str) -> tuple[int, int]:
    """Packets sent and received, from ping's last lines."""
    match = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    assert match is not None, text
    return int(match[1]), int(match[2])
