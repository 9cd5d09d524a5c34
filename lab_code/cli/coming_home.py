"""A job on a server is shown until it is over, and its runs are brought home and told of like those made here."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from lab_code.cli.terminal import make_console
from lab_code.errors import LabError
from lab_code.workshop.by_hand import in_notebook
from lab_code.workshop.kit import Kit
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from lab_code.jobs.follow import States
    from lab_code.jobs.record import Job
    from lab_code.jobs.servers import Server
    from lab_code.jobs.ssh import Line


def follow_home(kit: Kit, server: "Server", job: "Job", asked: bool = False) -> None:
    """Show a job until it is over, and bring its runs home; Ctrl-C leaves it to itself, or stops it."""
    from lab_code.jobs.home import AtHomeError
    from lab_code.jobs.record import find_job

    try:
        states, asked = _follow(kit, server, job, asked)
    except LabError:
        if find_job(kit.root, job.job).is_open:
            raise
        say(spell_commands(f"job {job.job} was brought home by another window meanwhile: lab status"))
        return
    try:
        _bring_home(kit, server, job, states, asked)
    except AtHomeError as error:
        say(spell_commands(f"{error.message}: lab status"))


def _follow(kit: Kit, server: "Server", job: "Job", asked: bool) -> tuple["States", bool]:
    """How the job ended, and whether somebody had asked for that."""
    from lab_code.cli.following import make_show
    from lab_code.jobs.follow import follow_job
    from lab_code.jobs.ssh import connect

    try:
        with make_show(job, say) as show:
            states = follow_job(server, job, show)
    except KeyboardInterrupt:
        if not _wants_stop(job):
            raise
        asked = True
        say(f"{server.name}: asking job {job.job} to end …")
        with connect(server) as line:
            line.ask("stop", base=job.base, job=job.job)
        with make_show(job, say) as show:  # what was told is not told again
            states = follow_job(server, job, replace(show, event=lambda task, event: None))
    return states, asked


def _wants_stop(job: "Job") -> bool:
    """Ask whether the job shall end as well; where nobody can be asked, say how."""
    if sys.stdin.isatty() and not in_notebook():
        say("")
        try:
            if typer.confirm(f"Stop job {job.job} on {job.server} as well?", default=False, err=True):
                return True
        except typer.Abort:
            pass
    say(f"job {job.job} goes on on {job.server}")
    say(spell_commands(f"lab follow {job.job} shows it again; lab jobs --stop {job.job} ends it"))
    return False


def _bring_home(kit: Kit, server: "Server", job: "Job", states: "States", asked: bool) -> None:
    from lab_code.jobs.ssh import LostError, connect

    try:
        with connect(server) as line:
            if job.is_search:
                _bring_search(kit, line, job, states["0"], asked)
            elif job.sweep:
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


def _bring_search(kit: Kit, line: "Line", job: "Job", state: dict[str, Any], asked: bool) -> None:
    """The trials are children of one run there already, and stay it here."""
    from lab_code.cli.outcome import print_search
    from lab_code.jobs.home import bring_home
    from lab_code.jobs.record import HOME, change_job
    from lab_code.jobs.search import read_outcome
    from lab_code.tracking.runs import read_runs

    came = bring_home(kit.root, line, job, 0, {})
    change_job(kit.root, job, HOME if came else state["state"], [0] if came else [])
    if state["state"] not in ("failed", "gone"):
        line.ask("forget", base=job.base, job=job.job)
    if state["state"] == "finished":
        parent = next(run for run in reversed(read_runs(kit.root)) if run.tags.get("sweep") == job.key)
        print_search(job.title, read_outcome(kit.root, parent))
        return
    ended = _explain_end(line.server.name, job, state, None)
    if not (asked and state["state"] == "stopped"):
        hint = "the same command goes on with it there; without --on, here"
        raise LabError(ended.message, hint=ended.hint if state["state"] == "failed" else hint)
    make_console().print(
        f"{ended.message}; the same command goes on with it there, and without --on here", markup=False
    )


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
    say(f"{len(job.tasks) - len(failed)} of {len(job.tasks)} runs are finished and at home")
    if failed:
        raise LabError(
            f"server '{line.server.name}': {len(failed)} of {len(job.tasks)} runs failed: {'; '.join(failed)}",
            hint="the same command sends only what is missing",
        )


def say(text: str) -> None:
    """A line about what is going on, for whoever looks."""
    make_console(stderr=True).print(text, style="dim", markup=False)
