"""Who may use the course's server: an account for each group, its password from the vault, and whoever else is named.

    accounts = sign_in(course)
    accounts.ensure("group-1", course.password("group-1"))

Every group sees and changes its own experiment alone. The password of a group that was thrown out is replaced by one
that nobody knows; its runs stay.
"""

import os
import re
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from instructor.server.course import ADMIN, Course, answers
from lab_code.cli.printable import one_line
from lab_code.errors import LabError
from lab_code.tracking.tracker import import_quietly
from lab_code.workshop.private import write_private

PASSWORDS = "server-passwords.csv"
_NAME = r"[a-z0-9][a-z0-9._-]{0,60}"


@dataclass(frozen=True)
class Accounts:
    """The server's accounts, as its administrator sees them."""

    client: Any
    course: Course

    def ensure(self, name: str, password: str) -> str:
        """Make the account, or give it this password; "made", "known" or "changed"."""
        from mlflow.exceptions import MlflowException

        with as_account(self.course, name, password):
            if self._knows(name):
                return "known"
        with _as_admin(self.course), _explained(self.course):
            try:
                self.client.create_user(name, password)
                return "made"
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            self.client.update_user_password(name, password)
            return "changed"

    def close(self, name: str) -> None:
        """Let nobody in by that name any more. Raises `LabError` for one that is not there."""
        with _as_admin(self.course), _explained(self.course):
            self.client.update_user_password(name, secrets.token_urlsafe(32))

    def _knows(self, name: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_user(name).username == name)
        except MlflowException:
            return False


def sign_in(course: Course) -> Accounts:
    """As the server's administrator. Raises `LabError` where it does not answer: MLflow would try for minutes."""
    if not answers(course):
        raise LabError(f"the server at {course.address} does not answer", hint="instructor server up")
    import_quietly()
    with warnings.catch_warnings():  # the rest of MLflow's server comes along, with what its libraries deprecate
        warnings.simplefilter("ignore")
        from mlflow.server.auth.client import AuthServiceClient

    return Accounts(AuthServiceClient(course.address), course)


def write_passwords(course: Course) -> Path:
    """The list of accounts, in the vault."""
    path = course.vault.folder / PASSWORDS
    lines = [f"{name},{course.password(name)}\n" for name in (ADMIN, *course.workshop.groups)]
    write_private(path, "account,password\n" + "".join(lines))
    return path


def check_name(name: str) -> None:
    """Raise `LabError` for a name that no account can have."""
    if not re.fullmatch(_NAME, name) or name == ADMIN:
        raise LabError(f"'{name}' cannot be an account's name", hint="use a-z, 0-9, dots and dashes")


def list_accounts(course: Course) -> list[str]:
    """Their names, from the database."""
    return [str(name) for (name,) in course.database.ask("SELECT username FROM users ORDER BY id")]


def _as_admin(course: Course) -> Any:
    return as_account(course, ADMIN, course.password(ADMIN))


@contextmanager
def as_account(course: Course, name: str, password: str) -> Iterator[None]:
    """MLflow's client takes its password from the environment; it leaves with the block."""
    given = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}
    given["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
    before = {key: os.environ.get(key) for key in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value


@contextmanager
def _explained(course: Course) -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        said = one_line(str(error), 200)
        if "401" in said or "not authenticated" in said:
            raise LabError(
                f"the server at {course.address} does not know this vault's password",
                hint="its database was made with another vault: copy that build/vault here",
            ) from error
        if "RESOURCE_DOES_NOT_EXIST" in said or "not found" in said:
            raise LabError(f"the server has no such account: {said}", hint="instructor server user") from error
        raise LabError(f"the server at {course.address} says: {said}", hint="instructor server status") from error
