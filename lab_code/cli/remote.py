"""Runs elsewhere: `lab train --on SERVER`, `lab sweep --on SERVER`, and the commands `jobs` and `follow`.

A job that was sent goes on whatever happens here. Whoever follows it shows it as if it were trained here, and brings
home what is over.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.errors import LabError
from lab_code.workshop.by_hand import in_notebook
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from lab_code.config import Config
    from lab_code.jobs.follow import States
    from lab_code.jobs.record import Job, Task
    from lab_code.jobs.servers import Server
    from lab_code.jobs.ssh import Line
    from lab_code.jobs.sweep import SweepPlan


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


def _send_and_follow(
    kit: Kit, server: "Server", tasks: Sequence["Task"], configs: Sequence["Config"], key: str, title: str = ""
) -> None:
    from lab_code.jobs.record import SENDING, make_job, read_jobs, write_job
    from lab_code.jobs.send import list_files, send_job
    from lab_code.jobs.ssh import connect

    open_jobs = [job for job in read_jobs(kit.root) if job.is_open and (job.server, job.key) == (server.name, key)]
    if open_jobs:
        job = open_jobs[-1]
        _say(f"job {job.job} is on its way already; going on with it")
    else:
        base = f"{server.folder.rstrip('/')}/{kit.workshop}-{kit.group}"
        job = write_job(kit.root, make_job(server.name, base, key, tasks, title))
    with connect(server) as line:  # which following and bringing home use as well, for as long as it is there
        if job.state == SENDING:
            _say(f"{server.name}: copying code and photographs …")
            job = send_job(kit.root, line, job, list_files(kit.root, configs), _say)
        _follow_home(kit, server, job)


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
    _follow_home(kit, find_server(kit.root, found.server), found)


def jobs(
    stop: Annotated[str | None, typer.Option(metavar="JOB", help="Ask this job to end; what it has is kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List what runs where: every job that was sent, and how it stands.

    Example: lab jobs
    """
    from lab_code.jobs.record import HOME, read_jobs

    kit = find_kit()
    if stop is not None:
        _stop(kit, stop)
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
    _follow_home(kit, server, job, asked=True)


def _follow_home(kit: Kit, server: "Server", job: "Job", asked: bool = False) -> None:
    """Show a job until it is over, and bring its runs home; Ctrl-C leaves it to itself, or stops it."""
    from lab_code.cli.following import make_show
    from lab_code.jobs.follow import follow_job
    from lab_code.jobs.ssh import connect

    try:
        with make_show(job, _say) as show:
            states = follow_job(server, job, show)
    except KeyboardInterrupt:
        if not _wants_stop(job):
            raise
        asked = True
        _say(f"{server.name}: asking job {job.job} to end …")
        with connect(server) as line:
            line.ask("stop", base=job.base, job=job.job)
        with make_show(job, _say) as show:  # what was told is not told again
            states = follow_job(server, job, replace(show, event=lambda task, event: None))
    _bring_home(kit, server, job, states, asked)


def _wants_stop(job: "Job") -> bool:
    """Ask whether the job shall end as well; where nobody can be asked, say how."""
    if sys.stdin.isatty() and not in_notebook():
        _say("")
        try:
            if typer.confirm(f"Stop job {job.job} on {job.server} as well?", default=False, err=True):
                return True
        except typer.Abort:
            pass
    _say(f"job {job.job} goes on on {job.server}")
    _say(spell_commands(f"lab follow {job.job} shows it again; lab jobs --stop {job.job} ends it"))
    return False


def _bring_home(kit: Kit, server: "Server", job: "Job", states: "States", asked: bool) -> None:
    from lab_code.jobs.ssh import LostError, connect

    try:
        with connect(server) as line:
            if job.sweep:
                _bring_sweep(kit, line, job, states)
            else:
                _bring_one(kit, line, job, states["0"], asked)
    except LostError as error:
        hint = f"nothing half-written is here, and what has arrived is kept: lab follow {job.job}"
        raise LabError(error.message, hint=hint) from error


def _bring_one(kit: Kit, line: "Line", job: "Job", state: dict[str, Any], asked: bool) -> None:
    from lab_code.cli.outcome import tell_finished
    from lab_code.jobs.home import bring_home
    from lab_code.jobs.record import HOME, change_job

    run_id = bring_home(kit.root, line, job, 0, {})
    change_job(kit.root, job, HOME if run_id else state["state"], [0] if run_id else [])
    if state["state"] not in ("failed", "gone"):  # whose logs somebody may want to read
        line.ask("forget", base=job.base, job=job.job)
    if state["state"] == "finished" and run_id:
        tell_finished(kit, run_id)
        return
    ended = _explain_end(line.server.name, job, state, run_id)
    if not (asked and state["state"] == "stopped"):
        raise ended
    make_console().print(ended.message, markup=False)
    if run_id:
        make_console().print(spell_commands(ended.hint or ""), markup=False)


def _explain_end(server: str, job: "Job", state: dict[str, Any], run_id: str | None) -> LabError:
    """A run that has not come to its end, as if it had been trained here."""
    go_on = f"run {run_id[:8]} is here with its last checkpoint; lab resume goes on with it" if run_id else ""
    if state["state"] == "failed":
        return LabError(f"server '{server}': {state['error']}", hint=state["hint"] or None)
    ended = {
        "stopped": "was stopped",
        "timed_out": "was stopped: its time was over",
        "gone": f"has ended without a word ({state.get('reason') or 'killed, or the machine failed'})",
    }
    text = f"server '{server}': job {job.job} {ended.get(state['state'], state['state'])}"
    return LabError(text, hint=go_on or "send it again: lab train --on …")


def _bring_sweep(kit: Kit, line: "Line", job: "Job", states: "States") -> None:
    from lab_code.cli.outcome import print_sweep
    from lab_code.jobs.home import bring_home
    from lab_code.jobs.record import HOME, SENT, change_job
    from lab_code.jobs.sweep import hold_sweep, list_finished

    failed = []
    with hold_sweep(kit.root, job.title, job.sweep, {"workshop": kit.workshop, "group": kit.group}) as parent:
        for number, task in enumerate(job.tasks):
            state = states[str(number)]
            if number not in job.brought:
                bring_home(kit.root, line, job, number, {"mlflow.parentRunId": parent})
                job = change_job(kit.root, job, SENT, [*job.brought, number])
            if state["state"] != "finished":
                failed.append(f"{task.text}: {state.get('error') or state['state']}")
    job = change_job(kit.root, job, HOME)
    if not failed:
        line.ask("forget", base=job.base, job=job.job)
    print_sweep(job.title, list_finished(kit.root, parent))
    _say(f"{len(job.tasks) - len(failed)} of {len(job.tasks)} runs are finished and at home")
    if failed:
        raise LabError(
            f"server '{line.server.name}': {len(failed)} of {len(job.tasks)} runs failed: {'; '.join(failed)}",
            hint="the same command sends only what is missing",
        )


def _say(text: str) -> None:
    make_console(stderr=True).print(text, style="dim", markup=False)
