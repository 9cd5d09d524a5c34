"""Hand-ins from a live MLflow server: one zip a group, of the runs that carry the group's tag.

    read = read_server("http://127.0.0.1:20123/?token=…", workshop, vault, scratch, progress)
    read.zips["group-1"], read.notes

Any server that MLflow's own client reads: a kit's page (its address as `lab ui` prints it), a course server with user
and password in the address (`http://ada:secret@host:5000`) or in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD,
or a database. Who may write there may write for every group: the server is believed, since the instructor names it.
"""

import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from instructor.collect.filling import folder_of, place_of
from instructor.collect.server_rows import write_run
from instructor.collect.stores import make_store
from instructor.dataset.prepare import CHECKSUMS
from instructor.vault import Vault
from instructor.workshop import Workshop
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.files import sha256_file, to_json
from lab_code.tracking.runs import EXPERIMENT, artifact_tail
from lab_code.workshop.course_server import RUN_TAG, name_experiment
from lab_code.workshop.handin import write_handin
from lab_code.workshop.handin_rules import is_allowed
from lab_code.workshop.kit import KIT_FILE, Kit, kit_to_json, read_kit
from lab_code.workshop.signature import KEY_FILE

_PAGE = 1000  # runs in one answer
_HERE = ("127.0.0.1", "localhost", "::1")
_SECRETS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass
class ReadServer:
    """The zips by group, and what the instructor should know."""

    zips: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def hide_secrets(address: str) -> str:
    """An address as it may stand on a screen."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def read_server(
    address: str, workshop: Workshop, vault: Vault, scratch: Path, progress: Callable[[str, int], Callable[[], object]]
) -> ReadServer:
    """Fetch the workshop's runs. Raises `LabError` for a server that does not answer, or lets nobody in."""
    read, build = ReadServer(), vault.folder.parent
    folder = scratch / f"server-{uuid.uuid4().hex[:8]}"
    with _connect(address) as (client, local):
        runs, experiments = _search(client, workshop, read.notes)
        advance = progress("server", sum(map(len, runs.values())))
        for group, mine in runs.items():
            make_store(folder / group, folder / group, build)
            for run in mine:
                copied = run.data.tags.pop(RUN_TAG, "")  # sent by a kit, where it has this id
                name = EXPERIMENT if copied else experiments[run.info.experiment_id]
                write_run(client, run, name, folder / group, copied)
                place = folder / group / place_of(copied or run.info.run_id, folder_of(name))
                read.notes += _fetch_files(client, run, place, local, workshop.limits.unpacked_mb * 1_000_000)
                advance()
    for group in runs:
        try:
            read.zips[group] = _pack(folder / group, group, workshop, vault)
        except LabError as error:
            read.notes.append(f"{group}: {error.message}")
    if not runs:
        read.notes.append(f"no run there carries the tags workshop={workshop.id} and a group")
    return read


def _pack(folder: Path, group: str, workshop: Workshop, vault: Vault) -> Path:
    """A hand-in of what was fetched, signed for its group, since the instructor vouches for the server."""
    checksums = vault.folder.parent / "data" / CHECKSUMS
    files = {f"data/{CHECKSUMS}": sha256_file(checksums)} if checksums.is_file() else {}
    kit = Kit(folder, workshop.id, workshop.title, group, (), files, workshop.points.rules())
    (folder / KIT_FILE).write_text(to_json(kit_to_json(kit)), encoding="utf-8")
    (folder / KEY_FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / KEY_FILE).write_text(vault.handin_key(workshop.id, group).hex(), encoding="ascii")
    return write_handin(read_kit(folder))[0]


@contextmanager
def _connect(address: str) -> Iterator[tuple[Any, bool]]:
    """MLflow's client for an address, and whether it is on this computer; secrets leave with the block."""
    from lab_code.tracking.tracker import open_client

    parts = urlsplit(address)
    token = parse_qs(parts.query).get("token", [""])[0]
    given = dict(zip(_SECRETS, (parts.username, parts.password, token), strict=True))
    before = {name: os.environ.get(name) for name in _SECRETS}
    plain = parts.scheme not in ("http", "https")
    try:
        os.environ.update({name: value for name, value in given.items() if value and not plain})
        client = open_client(address if plain else hide_secrets(address))
        with _explained():
            yield client, plain or parts.hostname in _HERE
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _explained() -> Iterator[None]:
    """What MLflow and the network raise, in a sentence."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        said = one_line(str(error), 200)
        closed = any(word in said for word in ("401", "403", "Permission", "authenticate"))
        hint = (
            "give the address that lab ui prints, or http://user:password@host:port"
            if closed
            else ("is it running, and is the address right? Or let the group run lab handin")
        )
        raise LabError(
            f"the MLflow server {'lets nobody in' if closed else 'does not answer'}: {said}", hint=hint
        ) from error


def _search(client: Any, workshop: Workshop, notes: list[str]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The workshop's runs by group, and the names of experiments."""
    experiments: dict[str, str] = {}
    token = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        experiments |= {entry.experiment_id: entry.name for entry in page}
        token = page.token
        if not token:
            break
    found, strangers = dict[str, list[Any]](), dict[str, int]()
    while experiments:
        page = client.search_runs(
            list(experiments), f"tags.workshop = '{workshop.id}'", max_results=_PAGE, page_token=token
        )
        for run in page:
            group = run.data.tags.get("group", "")
            copied = run.data.tags.get(RUN_TAG)
            if copied is not None and not _is_copy(copied, experiments[run.info.experiment_id], workshop.id, group):
                strangers[group] = strangers.get(group, 0) + 1
            elif group in workshop.groups:
                found.setdefault(group, []).append(run)
            else:
                strangers[group] = strangers.get(group, 0) + 1
        token = page.token
        if not token:
            break
    notes += [f"{count} runs of '{one_line(group, 60)}', which is no group here" for group, count in strangers.items()]
    return {group: found[group] for group in workshop.groups if group in found}, experiments


def _is_copy(run_id: str, experiment: str, workshop: str, group: str) -> bool:
    """Whether a kit has sent this run: the experiment is one that only the group's own account can write to."""
    return re.fullmatch(r"[0-9a-f]{32}", run_id) is not None and experiment == name_experiment(workshop, group)


def _fetch_files(client: Any, run: Any, place: Path, local: bool, most: int) -> list[str]:
    """The run's files that a hand-in may hold; returns what could not be had."""
    info = run.info
    scheme = urlsplit(info.artifact_uri).scheme
    name = one_line(info.run_name or info.run_id[:8], 60)
    if scheme in ("", "file") and not (local and _is_own(info.artifact_uri, info.run_id)):
        return [f"the files of run '{name}' lie on that computer only: let the group run lab handin there"]
    waiting = list(client.list_artifacts(info.run_id))
    while waiting:
        entry = waiting.pop()
        if entry.is_dir:
            waiting += client.list_artifacts(info.run_id, entry.path)
        elif is_allowed((place_of(info.run_id) / entry.path).as_posix()):
            most -= entry.file_size or 0
            if most < 0:
                return [f"run '{name}' has more files than a hand-in may; raise limits in workshop.yaml"]
            place.mkdir(parents=True, exist_ok=True)
            client.download_artifacts(info.run_id, entry.path, str(place))
    return []


def _is_own(address: str, run_id: str) -> bool:
    """Whether an address on a disk is one that the lab gives to a run's files."""
    try:
        return artifact_tail(address) == place_of(run_id)
    except LabError:
        return False
