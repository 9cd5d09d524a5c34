"""A second reader of locked files, written from docs/lock-format.md alone; its Argon2id is the reference one."""

import hmac
import json
import re
from base64 import b64decode

from _argon2_cffi_bindings import ffi, lib
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SAFE = re.compile(r'(?!\.)[^\\/:<>|?*"\0]+(/(?!\.{1,2}(/|$))[^\\/:<>|?*"\0]+)+')
LIMITS = {"iterations": (1, 16), "lanes": (1, 8), "memory_kib": (8, 262_144)}


def read(raw, owner, answers=None, chain=b"", room_code=None, rescue=None):  # -> outcome, files
    try:
        lock = json.loads(raw.decode("utf-8"))
        header, slots, kdf = lock["header"], lock["slots"], lock["header"]["kdf"]
        if (header["format"], header["version"]) != ("lab-lock", 1):
            return "unknown version", {}
        kind = "answers" if answers else "rescue"
        slot, payload = (
            {k: b64decode(v, validate=True) for k, v in part.items()} for part in (slots[kind], lock["payload"])
        )
        sound = kdf["name"] == "argon2id" and kdf["memory_kib"] >= 8 * kdf["lanes"] and header["room_code"] in (0, 1)
        sound = sound and all(low <= kdf[key] <= high for key, (low, high) in LIMITS.items())
        if not sound or len(slot["key"]) < 48 or {len(slot["nonce"]), len(payload["nonce"])} != {12}:
            return "damaged", {}
        if not SAFE.fullmatch(header["chain_file"] or "a/b"):
            return "unsafe path", {}
        ad = canonical(header)
        if (header["workshop"], header["group"], header["stage"]) != owner:
            return "another lock", {}
        password = canonical({"answers": answers, "room_code": room_code})
        key = (
            argon2id(password, slot["salt"], chain, ad, kdf) if answers else hkdf(rescue, slot["salt"], b"rescue" + ad)
        )
        file_key = decrypt(key, slot, "key", [header, kind])
        files = json.loads(decrypt(file_key, payload, "data", [header, slots], ValueError))
        files = {name: b64decode(content, validate=True) for name, content in files.items()}
        return ("opens", files) if all(map(SAFE.fullmatch, files)) else ("unsafe path", {})
    except InvalidTag:
        return "wrong key", {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "damaged", {}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def hkdf(code, salt, info):  # RFC 5869 with one block of output
    return hmac.digest(hmac.digest(salt, code, "sha256"), info + b"\x01", "sha256")


def decrypt(key, box, name, associated, fault=InvalidTag):
    opened = Cipher(algorithms.AES(key), modes.GCM(box["nonce"], box[name][-16:])).decryptor()
    opened.authenticate_additional_data(canonical(associated))
    try:
        return opened.update(box[name][:-16]) + opened.finalize()
    except InvalidTag as error:
        raise fault from error


def argon2id(password, salt, secret, ad, kdf):
    out, parts = ffi.new("uint8_t[32]"), {"pwd": password, "salt": salt, "secret": secret, "ad": ad}
    held = {name: ffi.new("uint8_t[]", value) for name, value in parts.items()}  # alive until the call returns
    costs = {"t_cost": kdf["iterations"], "m_cost": kdf["memory_kib"], "lanes": kdf["lanes"], "threads": 1}
    sizes = {f"{name}len": len(value) for name, value in parts.items()}
    rest = {"out": out, "outlen": 32, "version": 0x13, "flags": lib.ARGON2_DEFAULT_FLAGS}
    assert lib.argon2_ctx(ffi.new("argon2_context *", {**held, **sizes, **costs, **rest}), 2) == lib.ARGON2_OK
    return bytes(out)
