"""Who wrote a hand-in: every kit brings a key of its own, which the instructor's machine can compute again.

A hand-in is signed with it (HMAC-SHA256 over the SHA-256 of its manifest, which holds that of every file). A zip whose
group was changed, or whose content was, no longer fits its signature. Whoever can read a kit's folder can sign as it.
"""

import hashlib
import hmac
from pathlib import Path

KEY_FILE = ".lab/handin.key"
SIGNATURE = "signature.txt"


def read_key(root: Path) -> bytes | None:
    """The key of a kit; None where there is none, as in kits of earlier versions."""
    try:
        return bytes.fromhex((root / KEY_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def sign(manifest: bytes, key: bytes) -> str:
    """The signature of a manifest, in hexadecimal."""
    return sign_digest(hashlib.sha256(manifest).hexdigest(), key)


def sign_digest(digest: str, key: bytes) -> str:
    """The same, of the manifest's SHA-256 in hexadecimal."""
    return hmac.new(key, digest.encode("ascii"), hashlib.sha256).hexdigest()


def is_signed(digest: str, signature: str, key: bytes) -> bool:
    """Whether this key made this signature."""
    return hmac.compare_digest(sign_digest(digest, key).encode(), signature.strip().encode())
