"""A kit's place on another laptop, over SSH: the same steps as in `folder.py`, as scripts that run there.

    async with connect(laptop, inventory) as link:
        plan = await deliver(link, cargo)

rsync carries where both sides have it, and goes on in the middle of a file; else tar through ssh, which goes on after
the last whole file. What is shown and what is done there are the scripts in `remote/`.
"""

import io
import re
import shlex
import shutil
import tarfile
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from instructor.deliver.cargo import SUMS, Cargo, Item, parse_sums
from instructor.deliver.folder import EARLIER, folders_of, name_document, tops_of_work
from instructor.deliver.inventory import WINDOWS, Inventory, Laptop
from instructor.deliver.medium import find_too_long
from instructor.deliver.plan import PARTIAL, STAGING, Found, Plan, parse_document, plan_delivery
from instructor.deliver.ssh import CONNECT_S, call, explain, share_connection, ssh_options
from instructor.deliver.supervise import Ended, run
from lab_code.errors import LabError
from lab_code.workshop.kit import KIT_FILE

_SCRIPTS = Path(__file__).parent / "remote"
_DONE, _CANNOT, _FILES = "lab-done", "cannot", "files"
_NOT_UNDERSTOOD = (1, 2, 4)  # how rsync ends where the two of them speak different dialects
_LONGEST = 100_000_000  # bytes that a script may say; a look at a large kit says a few
_BLOCK, _CHUNK = 512, 1 << 16
_CLOCK, _CLOCK_IS_COARSE_S = "%Y%m%d%H%M.%S", 2  # as touch takes it; FAT counts every other second
# Windows: a script comes through the connection, whatever shell the account has there.
_BOOTSTRAP = "[Console]::InputEncoding = [Text.Encoding]::UTF8; Invoke-Expression ([Console]::In.ReadToEnd())"


@dataclass(frozen=True)
class Link:
    """A laptop, the pinned keys it must have, and whether rsync may be used; it counts the bytes that were sent."""

    laptop: Laptop
    inventory: Inventory
    use_rsync: bool = True
    control: Path | None = None  # of a connection that is shared
    sent: list[int] = field(default_factory=list, compare=False)

    @property
    def is_windows(self) -> bool:
        return self.laptop.platform == WINDOWS

    @property
    def ssh(self) -> list[str]:
        """`ssh` and its options, as far as the host."""
        return ssh_options(self.laptop, self.inventory, self.control)

    async def call(self, command: str, given: bytes, most: int | None = None) -> Ended:
        """Run a command there. Raises `LabError` where the connection was none, or was lost."""
        return await call(self.laptop, self.inventory, command, given, self.control, most)

    async def run_script(self, name: str, values: dict[str, str], functions: str = "") -> str:
        """Run a script of `remote/` there with some values; what it says. Raises `LabError` where it says it cannot."""
        suffix, command = (".ps1", _powershell()) if self.is_windows else (".sh", "sh -s")
        quote = quote_powershell if self.is_windows else shlex.quote
        dollar = "$" if self.is_windows else ""
        head = "".join(f"{dollar}{key}={quote(value)}\n" for key, value in values.items())
        text = head + functions + (_SCRIPTS / f"{name}{suffix}").read_text(encoding="utf-8")
        given = text.encode("utf-8", "surrogateescape")
        self.sent.append(len(given))
        ended = await self.call(command, given, _LONGEST)
        out = ended.out.decode("utf-8", "surrogateescape")
        refused = re.search(rf"^{_CANNOT} (.*?)\r?$", out, re.MULTILINE)
        if refused and "No space left" not in ended.complaint:
            raise LabError(refused[1], hint="see to it there, then again")
        if not out.rstrip().endswith(_DONE):
            raise explain(self.laptop, ended.complaint)
        return out


@asynccontextmanager
async def connect(laptop: Laptop, inventory: Inventory, use_rsync: bool = True) -> AsyncIterator[Link]:
    """A link whose commands share one connection. Raises `LabError` where there is none to be had."""
    async with share_connection(laptop, inventory) as control:
        yield Link(laptop, inventory, use_rsync, control)


def _powershell() -> str:
    encoded = b64encode(_BOOTSTRAP.encode("utf-16-le")).decode("ascii")
    return f"powershell -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand {encoded}"


def quote_powershell(text: str) -> str:
    """A text as PowerShell takes it word for word."""
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


async def look(link: Link, *, is_kit: bool = True, path: str | None = None, before: Found | None = None) -> Found:
    """What lies there; nothing is changed. After `before`, only what is new is read there."""
    since = before.now if before else ""
    values = {"root": link.laptop.path if path is None else path, "is_kit": "yes" if is_kit else "no", "since": since}
    found = parse_look(await link.run_script("look", values))
    if since and before:
        found.files, found.sums = {**before.files, **found.files}, before.sums
    return found


def parse_look(out: str) -> Found:
    """What the script `look` has said, as bytes in a text (surrogateescape)."""
    head, _, listed = out.partition(f"\n{_FILES}\n")
    found, rest = Found(), f"{head}\n".encode("utf-8", "surrogateescape")
    while rest:
        line, _, rest = rest.partition(b"\n")
        word, _, value = line.decode("utf-8", "surrogateescape").partition(" ")
        if word == "text":
            rest = _take_text(found, value, rest)
        elif word == "root":
            found.root = value
        elif word == "state":
            found.state = value
        elif word == "now":
            clock = datetime.strptime(value, _CLOCK).replace(tzinfo=UTC)
            found.now = f"{clock - timedelta(seconds=_CLOCK_IS_COARSE_S):{_CLOCK}}"
        elif word == "free" and value.strip().isdigit():
            found.free = int(value) * 1024
        found.has_rsync, found.unsettled = found.has_rsync or word == "rsync", found.unsettled or word == "unsettled"
    files, _, links = listed.partition("\nlinks\n") if not listed.startswith("links\n") else ("", "", listed[6:])
    for line_text in filter(None, files.split("\n")):
        _take_file(found, line_text)
    found.links = {line_text.removeprefix("./") for line_text in links.split("\n") if line_text.startswith("./")}
    return found


def _take_text(found: Found, head: str, rest: bytes) -> bytes:
    """A file that is shown whole; returns what follows it."""
    size, name = head.split(maxsplit=1)
    text = rest[: int(size)]
    if name == SUMS:
        found.sums = {f"data/{path}": digest for path, digest in parse_sums(text.decode("utf-8", "replace")).items()}
    else:
        found.identity = text if name == KIT_FILE else found.identity
        found.documents.append(parse_document(text))
    return rest[int(size) + 1 :]


def _take_file(found: Found, line: str) -> None:
    """`<SHA-256>  ./path`; a leading backslash says that the path's odd letters are spelt out."""
    digest, _, name = line.partition("  ")
    if digest.startswith("\\"):
        digest, name = digest[1:], name.replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\")
    name, waiting = name.removeprefix("./"), f"{STAGING}/{_FILES}/"
    if name.startswith(waiting):
        found.staged[name.removeprefix(waiting)] = digest
    elif not name.startswith(f"{STAGING}/"):
        found.files[name] = digest


async def plan_for(
    link: Link, cargo: Cargo, path: str | None = None, before: Found | None = None
) -> tuple[Plan, Found]:
    """What a delivery would do there, with what was found."""
    found = await look(link, is_kit=cargo.identity is not None, path=path, before=before)
    plan = plan_delivery(cargo, found)
    too_long = find_too_long(found.root, cargo) if link.is_windows else ""
    if too_long:
        plan.faults, plan.hint = [*plan.faults, too_long], "write a shorter path into the inventory"
    return plan, found


async def deliver(link: Link, cargo: Cargo, path: str | None = None, planned: tuple[Plan, Found] | None = None) -> Plan:
    """Look, plan, send, and put in place. Raises `LabError`; what has arrived by then is not sent again.

    `planned` is what `plan_for` has said a while ago; before anything is put in place, it is looked once more.
    """
    plan, found = planned or await plan_for(link, cargo, path)
    refuse_plan(plan)
    if plan.send or (planned and plan.changes):
        if plan.send:
            await send(link, cargo, found, plan.send)
        arrived, found = await plan_for(link, cargo, path, found)
        refuse_plan(arrived)
        if arrived.send:
            raise LabError(
                f"{len(arrived.send)} files did not arrive as they were sent, first {arrived.send[0]}", hint="again"
            )
        await settle(link, cargo, found, arrived)
        plan.kept = arrived.kept  # what the group has changed meanwhile is among it
    elif plan.changes:
        await settle(link, cargo, found, plan)
    return plan


def refuse_plan(plan: Plan) -> None:
    """Raise `LabError` for what forbids a delivery."""
    if plan.faults:
        raise LabError("; ".join(plan.faults), hint=plan.hint or None)


async def send(link: Link, cargo: Cargo, found: Found, names: Sequence[str]) -> None:
    """Bring files to where they wait."""
    has_rsync = link.use_rsync and found.has_rsync and not link.is_windows and shutil.which("rsync")
    if not (has_rsync and await _send_by_rsync(link, cargo, found.root, names)):
        await _send_by_tar(link, cargo, found, names)


async def _send_by_rsync(link: Link, cargo: Cargo, root: str, names: Sequence[str]) -> bool:
    """False where the two rsyncs do not understand each other."""
    waiting, host = f"{root}/{STAGING}/{_FILES}", link.laptop.host
    command = [
        "rsync", "--relative", "--times", "--perms", "--checksum", "--protect-args", "--compress", "--stats",
        "--from0", "--files-from=-", f"--partial-dir={PARTIAL}", "--compare-dest=../../", f"--timeout={3 * CONNECT_S}",
        f"--rsh={shlex.join(link.ssh)}",
        f"--rsync-path=mkdir -p {shlex.quote(waiting)} && rsync",
        f"{cargo.folder.absolute()}/", f"{f'[{host}]' if ':' in host else host}:{waiting}/",
    ]  # fmt: skip
    ended = await run(command, b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names))
    if ended.code in _NOT_UNDERSTOOD:
        return False
    if ended.code:
        raise explain(link.laptop, ended.complaint)
    total = re.search(rb"Total bytes sent: ([\d,.]+)", ended.out)
    link.sent.append(int(re.sub(rb"\D", b"", total[1])) if total else 0)
    return True


async def _send_by_tar(link: Link, cargo: Cargo, found: Found, names: Sequence[str]) -> None:
    async def count() -> AsyncIterator[bytes]:
        for name in names:
            for piece in _pack(name, cargo.files[name]):
                link.sent.append(len(piece))
                yield piece
        yield b"\0" * (2 * _BLOCK)

    waiting = f"{link.laptop.path if link.is_windows else found.root}/{STAGING}/{_FILES}"
    if link.is_windows:  # a path without blanks, so that no shell there needs quotes
        await link.run_script("prepare", {"folder": waiting})
        remote = f"cmd /c tar -xf - -C {waiting}"
    else:
        remote = f"mkdir -p {shlex.quote(waiting)} && tar -xf - -C {shlex.quote(waiting)}"
    ended = await run([*link.ssh, "-T", link.laptop.host, remote], count())
    if ended.code:
        raise explain(link.laptop, ended.complaint)


def _pack(name: str, item: Item) -> Iterator[bytes]:
    """One member of a tar archive, piece by piece."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = item.size, item.mode, int(item.source.stat().st_mtime)
    yield info.tobuf(tarfile.PAX_FORMAT)
    with item.source.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece
    yield b"\0" * (-item.size % _BLOCK)


async def settle(link: Link, cargo: Cargo, found: Found, plan: Plan) -> None:
    """Put what has arrived in its place, `kit.json` last."""
    values = {"root": found.root, "document": "", "touched": ""}
    text = ""
    if plan.identity is not None:
        values["document"] = f"{name_document(plan.identity)}.json"
        built = datetime.fromtimestamp((cargo.folder / KIT_FILE).stat().st_mtime, UTC)
        values["touched"] = f"{built:{_CLOCK}}"
        text = plan.identity.decode("utf-8")
    if link.is_windows:
        lists = {"stale": plan.stale, "obsolete": plan.obsolete, "empty": folders_of(plan.obsolete)}
        functions = "".join(f"${key}=@({','.join(map(quote_powershell, names))})\n" for key, names in lists.items())
        functions += f"$text={quote_powershell(text)}\n"
    else:
        functions = f"kit_json() {{ printf %s {shlex.quote(text)}; }}\n"
        functions += f"drop_stale() {{ {_remove('rm -f', plan.stale)}:; }}\n"
        emptied = _remove("rmdir", folders_of(plan.obsolete), " 2>/dev/null")
        functions += f"drop_obsolete() {{ {_remove('rm -f', plan.obsolete)}{emptied}:; }}\n"
    await link.run_script("settle", values, functions)


async def archive(link: Link, found: Found, name: str) -> str:
    """Move a class's work out of a kit into a new folder of this name beside it, which is returned."""
    into, tops = f"{found.root.rpartition('/')[0]}/{EARLIER}/{name}", tops_of_work(found)
    if link.is_windows:
        functions = f"$tops=@({','.join(map(quote_powershell, tops))})\n"
    else:
        moves = [_move(top) for top in tops]
        functions = f"move_work() {{\n{''.join(moves)}:\n}}\n"
    await link.run_script("archive", {"root": found.root, "into": into}, functions)
    return into


def _move(top: str) -> str:
    folder = shlex.quote(top.rpartition("/")[0] or ".")
    return f'mkdir -p "$into"/{folder} && mv -f -- {shlex.quote(top)} "$into"/{folder}/ || return 1\n'


async def fetch(link: Link, found: Found, names: Sequence[str], into: Path) -> None:
    """Copy files of a kit from there into a folder here."""
    place = link.laptop.path if link.is_windows else shlex.quote(found.root)
    remote = f"{'cmd /c ' if link.is_windows else ''}tar -C {place} --null -T - -cf -"
    given = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names)
    ended = await link.call(remote, given)
    try:
        with tarfile.open(fileobj=io.BytesIO(ended.out), errors="surrogateescape") as archive_file:
            archive_file.extractall(into, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise LabError(f"what came from {link.laptop.name} cannot be unpacked: {error}", hint="again") from error
    missing = [name for name in names if not (into / name).is_file()]
    if missing:
        raise LabError(
            f"{len(missing)} files did not come, first {missing[0]}", hint="is it being worked in? then again"
        )


def _remove(command: str, names: Sequence[str], quietly: str = "") -> str:
    """A shell's words that remove these, many at a time."""
    parts = [names[start : start + 500] for start in range(0, len(names), 500)]
    return "".join(f"{command} -- {' '.join(map(shlex.quote, part))}{quietly}; " for part in parts)
