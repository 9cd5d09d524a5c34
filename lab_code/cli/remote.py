"""Runs elsewhere: `--on SERVER` of `lab train`, `lab resume` and `lab sweep`, and the commands `jobs` and `follow`.

A job that was sent goes on whatever happens here. Whoever follows it shows it as if it were trained here, and brings
home what is over.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab_code.cli.coming_home import follow_home, say
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from lab_code.config import Config
    from lab_code.jobs.follow import States
    from lab_code.jobs.record import Job, Task
    from lab_code.jobs.search import SearchPlan
    from lab_code.jobs.servers import Server
    from lab_code.jobs.sweep import SweepPlan
    from lab_code.tracking.runs import Run


_PATIENCE_S = 3600  # for another window that makes an environment on a server


def add_commands(app: typer.Typer) -> None:
    """Register the commands, in the order in which `lab --help` lists them."""
    for command in (jobs, follow):
        app.command()(command)


def train_on(kit: Kit, name: str, config: "Config", tags: dict[str, str]) -> None:
    """Send one run to a server, follow it, and bring it home; the same command goes on with the same run."""
    from lab_code.jobs.send import make_task
    from lab_code.jobs.servers import find_server

    server = find_server(kit.root, name)
    task = make_task(kit.root, config, tags)
    _send_and_follow(kit, server, [task], [config], task.config)


def resume_on(kit: Kit, name: str, run: "Run", config: "Config") -> None:
    """Let a stopped run go on on a server, and bring it home as the same run; the same command follows it again."""
    from lab_code.jobs.away import check_checkpoint
    from lab_code.jobs.record import find_away, refuse_away
    from lab_code.jobs.send import make_task
    from lab_code.jobs.servers import find_server

    server = find_server(kit.root, name)
    away = find_away(kit.root, run.run_id)
    if away is not None and away.server != server.name:
        refuse_away(kit.root, run.run_id)
    if away is None:
        _refuse_changed_code(run)
        epochs = check_checkpoint(kit.root, run)
        say(f"run '{run.name}' goes on after epoch {epochs} of {config.trainer.epochs}")
    task = replace(make_task(kit.root, config, {}), runs=[run.run_id])
    _send_and_follow(kit, server, [task], [config], f"resume {run.run_id}")


def _refuse_changed_code(run: "Run") -> None:
    """Raise `LabError` where code that a run uses is not what it was: one run has one code."""
    from lab_code.analysis.used_code import find_used
    from lab_code.tracking.provenance import CODE, code_from_json, read_code

    before, now = code_from_json(run.artifacts / CODE), read_code()
    used = find_used(before, run.params) | find_used(now, run.params)
    changed = sorted(name for name in used if before.get(name) != now.get(name))
    if changed:
        more = f" and {len(changed) - 1} more files" if len(changed) > 1 else ""
        raise LabError(
            f"the code of run '{run.name}' has changed since it began: {changed[0]}{more}",
            hint="undo that, or begin a run with the new code: lab train --on SERVER …",
        )


def sweep_on(kit: Kit, name: str, plan: "SweepPlan", configs: Sequence["Config"], tags: dict[str, str]) -> None:
    """Send what a sweep lacks as one job of many tasks, follow them, and bring each home as a child of the sweep."""
    from lab_code.jobs.send import make_task
    from lab_code.jobs.servers import find_server

    server = find_server(kit.root, name)
    tasks = [
        make_task(kit.root, config, {**tags, "sweep.job": job.text}, job.text)
        for job, config in zip(plan.jobs, configs, strict=True)
        if job.run_id is None
    ]
    if not tasks:
        make_console().print("Every run of this sweep is finished already.")
        return
    _send_and_follow(kit, server, tasks, configs, plan.key, plan.name)


def search_on(kit: Kit, name: str, plan: "SearchPlan", search: dict[str, Any], tags: dict[str, str]) -> None:
    """Let a search choose and train on a server, in one job; one that was stopped goes on there with all it knows."""
    from lab_code.jobs.record import find_away, refuse_away
    from lab_code.jobs.send import make_task
    from lab_code.jobs.servers import find_server
    from lab_code.tracking.runs import read_runs

    server = find_server(kit.root, name)
    known = [run for run in read_runs(kit.root) if plan.parent in (run.run_id, run.tags.get("mlflow.parentRunId"))]
    along = sorted(known, key=lambda run: not run.is_group) if plan.parent else []
    if any(run.status == "RUNNING" for run in along):
        raise LabError(f"'{plan.name}' goes on here right now, in another window", hint="wait for it, or stop it there")
    tasks = [make_task(kit.root, config, tags) for config in plan.configs]
    links = sorted({link for task in tasks for link in task.links})
    search = {**search, "at_once": search["at_once"] or server.cpus}
    task = replace(tasks[-1], name=plan.name, links=links, search=search, runs=[run.run_id for run in along])
    away = find_away(kit.root, plan.parent) if plan.parent else None
    if away is not None and away.server != name:
        refuse_away(kit.root, away.tasks[0].runs[0])
    _send_and_follow(kit, server, [task], plan.configs, plan.key, plan.name)


def _send_and_follow(
    kit: Kit, server: "Server", tasks: Sequence["Task"], configs: Sequence["Config"], key: str, title: str = ""
) -> None:
    from lab_code.jobs.record import SENDING, make_job, read_jobs, write_job
    from lab_code.jobs.send import list_files, send_job
    from lab_code.jobs.ssh import connect
    from lab_code.tracking.one_at_a_time import one_at_a_time

    name = server.name
    with connect(server) as line:  # which following and bringing home use as well, for as long as it is there
        with one_at_a_time(kit.root / ".lab" / "send.lock", "sending a job", _PATIENCE_S):
            open_jobs = [job for job in read_jobs(kit.root) if job.is_open and (job.server, job.key) == (name, key)]
            if open_jobs:
                job = open_jobs[-1]
                say(f"job {job.job} is on its way already; going on with it")
            else:
                base = f"{server.folder.rstrip('/')}/{kit.workshop}-{kit.group}"
                job = write_job(kit.root, make_job(name, base, key, tasks, title))
            if job.state == SENDING:
                say(f"{name}: copying code and photographs …")
                job = send_job(kit.root, line, job, list_files(kit.root, configs), say)
        follow_home(kit, server, job)


def follow(
    job: Annotated[str | None, typer.Argument(help="A job of `lab jobs`; the newest one if left out.")] = None,
) -> None:
    """Follow a job on a server again, and bring home what is over.

    Example: lab follow
    """
    from lab_code.jobs.record import SENDING, find_job
    from lab_code.jobs.servers import find_server

    kit = find_kit()
    found = find_job(kit.root, job)
    if found.state == SENDING:
        raise LabError(
            f"job {found.job} was not sent whole", hint="the command that sent it goes on with it; or: lab jobs"
        )
    if not found.is_open:
        make_console().print(f"Job {found.job} is over, and its runs are at home: lab status")
        return
    follow_home(kit, find_server(kit.root, found.server), found)


def jobs(
    stop: Annotated[str | None, typer.Option(metavar="JOB", help="Ask this job to end; what it has is kept.")] = None,
    forget: Annotated[
        str | None, typer.Option(metavar="JOB", help="Never ask for this job again: its server is lost for good.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what runs where: every job that was sent, and how it stands.

    Example: lab jobs
    """
    from lab_code.jobs.record import HOME, read_jobs

    kit = find_kit()
    if stop is not None or forget is not None:
        _stop(kit, stop) if stop is not None else _forget(kit, forget or "")
        return
    known = read_jobs(kit.root)
    found, faults = _ask_states(kit, [job for job in known if job.is_open])
    rows = [_describe_job(job, found.get(job.job)) for job in known]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        make_console().print("No job was sent yet: lab train --on SERVER experiment=baseline")
    else:
        table = make_table("job", "server", "run", "state", title="Jobs", right=["epoch", "runs at home"])
        for row in rows:
            home = f"{row['home']} of {row['runs']}"
            cells = (row["job"], row["server"], row["name"], row["state"])
            table.add_row(*map(escape, cells), str(row["epoch"] or "–"), home)
        make_console().print(table)
        if any(row["state"] != HOME and found.get(row["job"]) for row in rows):
            make_console().print(spell_commands("lab follow JOB shows one, and brings home what is over"), style="dim")
    for fault in faults:
        make_console(stderr=True).print(f"[yellow]note:[/] {escape(fault)}")


def _ask_states(kit: Kit, jobs: Sequence["Job"]) -> tuple[dict[str, "States"], list[str]]:
    """How jobs stand, asked of each server once; and why some could not be asked."""
    from concurrent.futures import ThreadPoolExecutor

    from lab_code.jobs.servers import find_server
    from lab_code.jobs.ssh import connect

    def ask(name: str) -> dict[str, "States"]:
        server, found = find_server(kit.root, name), {}
        with connect(server) as line:
            for base in {job.base for job in jobs if job.server == name}:
                names = [job.job for job in jobs if (job.server, job.base) == (name, base)]
                found.update(line.ask("states", base=base, jobs=names))
        return found

    states: dict[str, States] = {}
    faults = []
    names = sorted({job.server for job in jobs})
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        for name, answer in zip(names, [pool.submit(ask, name) for name in names], strict=True):
            try:
                states |= answer.result()
            except LabError as error:
                faults.append(f"{error.message}; {error.hint}" if name in error.message else f"{name}: {error.message}")
    return states, faults


def _describe_job(job: "Job", states: "States | None") -> dict[str, Any]:
    """One line of the table; `state` is a count where tasks stand differently."""
    from lab_code.jobs.record import SENT

    kinds = [state["state"] for state in (states or {}).values()]
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    state = job.state if job.state != SENT else "unknown"
    if len(counts) == 1:
        state = kinds[0]
    elif counts:
        state = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    reason = next((s["reason"] for s in (states or {}).values() if s["state"] == "waiting" and s.get("reason")), "")
    epoch = max((one.get("epoch", 0) for one in (states or {}).values()), default=0)
    return {
        "job": job.job, "server": job.server, "name": job.title, "state": state + (f" ({reason})" if reason else ""),
        "epoch": epoch, "home": len(job.brought), "runs": len(job.tasks), "sent_at": job.sent_at,
    }  # fmt: skip


def _stop(kit: Kit, name: str) -> None:
    from lab_code.jobs.record import REFUSED, SENDING, change_job, find_job
    from lab_code.jobs.servers import find_server
    from lab_code.jobs.ssh import connect

    job = find_job(kit.root, name)
    if not job.is_open:
        make_console().print(f"Job {job.job} is over already.")
        return
    if job.state == SENDING:
        change_job(kit.root, job, REFUSED)
        make_console().print(f"Job {job.job} was not sent whole, and is forgotten.")
        return
    server = find_server(kit.root, job.server)
    with connect(server) as line:
        line.ask("stop", base=job.base, job=job.job)
        follow_home(kit, server, job, asked=True)  # by the same connection


def _forget(kit: Kit, name: str) -> None:
    """For a server that will not answer any more; what a run had here stays, and can go on here."""
    from lab_code.jobs.record import FORGOTTEN, change_job, find_job

    job = find_job(kit.root, name)
    if not job.is_open:
        make_console().print(f"Job {job.job} is over already.")
        return
    change_job(kit.root, job, FORGOTTEN)
    make_console().print(f"Job {job.job} is forgotten here; where {job.server} still runs it, nobody brings it home.")
