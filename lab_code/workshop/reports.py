"""A kit that tells the instructor's board where its group stands: only where `workshop.yaml` asks for it.

    report(kit)                    # now, beside everything else; a board that does not answer costs nothing
    report(kit, training=True)

What travels is the record of `standing.py`, signed with the kit's own key. It always says where the group is now, so a
laptop that could not reach the board for a while has caught up with its next report. Without an address in `kit.json`
nothing is sent to anybody.
"""

import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab_code.files import canonical_json
from lab_code.workshop.kit import Kit
from lab_code.workshop.signature import read_key
from lab_code.workshop.standing import read_standing, standing_to_json

LARGEST = 4096  # bytes of a report
_TIMEOUT_S = 1.0
_REST_S = 15.0  # after a board did not answer, nothing is tried for so long
_REST_FILE = ".lab/report.rest"


def report(kit: Kit, *, training: bool | None = None) -> threading.Thread | None:
    """Send the record of now in the background; the thread, or None where nothing is to be sent."""
    key = read_key(kit.root) if kit.report_to else None
    if key is None or _rests(kit.root):
        return None
    standing = read_standing(kit)
    if training is not None:
        standing = replace(standing, training=training)
    body = report_to_json(standing_to_json(standing), key)
    thread = threading.Thread(target=_send, args=(kit, body), name="report")
    thread.start()
    return thread


def report_to_json(standing: dict[str, Any], key: bytes) -> bytes:
    """The body of a report."""
    return canonical_json({"standing": standing, "signature": _sign(standing, key)})


def is_signed_report(standing: dict[str, Any], signature: str, key: bytes) -> bool:
    """Whether this key made this signature of this record."""
    return hmac.compare_digest(_sign(standing, key).encode(), signature.encode())


def _sign(standing: dict[str, Any], key: bytes) -> str:
    return hmac.new(key, b"report\0" + canonical_json(standing), hashlib.sha256).hexdigest()


def _send(kit: Kit, body: bytes) -> None:
    asked = urllib.request.Request(f"{kit.report_to.rstrip('/')}/report", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the board is in this room
    rest = kit.root / _REST_FILE
    try:
        with opener.open(asked, timeout=_TIMEOUT_S) as answer:
            answer.read(LARGEST)
        rest.unlink(missing_ok=True)
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        with suppress(OSError):
            rest.write_text(json.dumps(time.time()), encoding="ascii")


def _rests(root: Path) -> bool:
    try:
        since = time.time() - float((root / _REST_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    return 0 <= since < _REST_S
