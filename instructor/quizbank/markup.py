"""Plain text of the bank as other programs need it: what they would take for their own markup is escaped or refused."""

import html
import re

# Line breaks, what XML cannot hold, and signs that only steer a terminal or a printer.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_MATHS = re.compile(r"\$(?=\$)|\\(?=[()\[\]]|begin|ref|eqref)")  # what MathJax begins with, in Moodle and in Canvas
_AIKEN = re.compile(r"^(?:[A-Za-z][.)](?:\s|$)|ANSWER\s*:)", re.IGNORECASE)


def to_html(text: str) -> str:
    """HTML that shows the text itself. Signs of MathJax stand in elements of their own, where it does not join them."""
    escaped = html.escape(text, quote=False)
    return _MATHS.sub(lambda match: f"<span>{match[0]}</span>", escaped)


def to_jupyterquiz(text: str) -> str:
    """HTML for jupyterquiz, which also looks for $…$ and for Markdown's links before a browser reads it."""
    escaped = html.escape(text, quote=False).replace("[", "&#91;").replace("]", "&#93;")
    return re.sub(r"[$\\]", lambda match: f"<span>&#{ord(match[0])};</span>", escaped)


def to_gift(text: str) -> str:
    """Plain text in GIFT: the signs that it uses for itself are escaped."""
    return re.sub(r"([\\~=#{}:])", r"\\\1", text)


def to_gift_html(text: str) -> str:
    """HTML in GIFT. A text like a weight (`%20%`) or a format (`[html]`) begins with a reference instead."""
    escaped = to_html(text)
    if escaped[:1] in ("%", "["):
        escaped = f"&#{ord(escaped[0])};{escaped[1:]}"
    return to_gift(escaped)


def to_markdown(text: str) -> str:
    """Every sign that Markdown or TeX could take for its own, as a character reference."""
    maths = {match.start() for match in _MATHS.finditer(text)}
    pieces = []
    for place, sign in enumerate(text):
        escaped = f"&#{ord(sign)};" if re.match(r"[^\w\s,;:?()/%]|_", sign) else sign
        pieces.append(f"<span>{escaped}</span>" if place in maths else escaped)
    return "".join(pieces)


def fits_aiken(text: str) -> bool:
    """Whether a line in Aiken's format is taken as it is: nothing escapes an option, an answer or mathematics in it."""
    return not _AIKEN.match(text) and not _MATHS.search(text)
