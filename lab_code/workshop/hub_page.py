"""The kit's page in JupyterHub: what the hub starts for a user, once the kit lies in the user's folder.

    python -m lab_code.workshop.hub_page         # in the kit's folder, with what JupyterHub tells its users' servers

JupyterLab is as `lab start` has it. MLflow's page is the address `mlflow/` below the user's own: jupyter-server-proxy
starts it on a socket in a private folder when somebody opens it, and Jupyter asks who comes.
"""

import os
import sys
from pathlib import Path

from lab_code.files import to_json, write_whole
from lab_code.tracking.empty_store import make_from_script
from lab_code.tracking.runs import DATABASE
from lab_code.workshop.desk import FOLDER, QUIET, jupyter_program, mlflow_command, mlflow_view, page_options
from lab_code.workshop.jupyter_page import write_settings
from lab_code.workshop.kit import find_kit
from lab_code.workshop.mlflow_gate import ENTER
from lab_code.workshop.private import make_private
from lab_code.workshop.spelling import SPELLED

PREFIX = "JUPYTERHUB_SERVICE_PREFIX"  # set by JupyterHub: /user/group-1/
PAGE = "mlflow"
_NOTEBOOK = "/lab/tree/notebooks/starter.ipynb"
_PATIENCE_S = 120  # until MLflow's page answers, when a whole room opens it


def hub_address(root: Path) -> str:
    """Where MLflow's page of this kit is, as a path on the hub; empty outside of a hub."""
    prefix = os.environ.get(PREFIX, "")
    return f"{prefix}{PAGE}/?{ENTER}#/{mlflow_view(root)}" if prefix else ""


def main() -> None:
    """Become the user's server."""
    root = find_kit().root
    make_private(root / FOLDER)
    if not (root / DATABASE).is_file():
        make_from_script(root)
    configured = _configure_proxy(root, root / FOLDER / "hub")
    environment = {**os.environ, **QUIET, **write_settings(root / FOLDER), SPELLED: "./lab"}
    environment["JUPYTER_CONFIG_PATH"] = _before(configured, "JUPYTER_CONFIG_PATH")
    environment["PATH"] = _before(Path(sys.executable).parent, "PATH")  # so that ./lab finds this Python
    options = {**page_options(root), "ServerApp.default_url": _NOTEBOOK}
    if os.geteuid() == 0:
        options["ServerApp.allow_root"] = True
    os.chdir(root)
    os.execve(sys.executable, jupyter_program("jupyterhub.singleuser", options), environment)


def _before(folder: Path, name: str) -> str:
    others = [part for part in os.environ.get(name, "").split(os.pathsep) if part]
    return os.pathsep.join([str(folder), *others])


def _configure_proxy(root: Path, folder: Path) -> Path:
    """Tell jupyter-server-proxy about MLflow's page; returns the folder that Jupyter has to look into."""
    server = {
        "command": mlflow_command(root, "--socket", "{unix_socket}"),
        "environment": {"PYTHONPATH": str(root)},
        "unix_socket": True,
        "timeout": _PATIENCE_S,
        "launcher_entry": {"title": "MLflow", "path_info": f"{PAGE}/?{ENTER}#/{mlflow_view(root)}"},
    }
    write_whole(folder / "jupyter_server_config.json", to_json({"ServerProxy": {"servers": {PAGE: server}}}))
    return folder


if __name__ == "__main__":
    main()
