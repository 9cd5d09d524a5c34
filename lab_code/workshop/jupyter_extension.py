"""What `lab start` adds to JupyterLab's server: the way to MLflow, files that a click opens, and private kernels.

A link in a notebook is saved with it, so it holds no token: it leads to an address of Jupyter (`/lab-mlflow`), which
asks for Jupyter's own token and then knows MLflow's. Which paths of a notebook are files to be opened, and where one
begins to read them, `jupyter_plugin.js` asks at `/lab-files`.

A kernel speaks to its server over ports of 127.0.0.1, where every account of the computer can listen to what cells
print; over sockets in Jupyter's private folder nobody else can. Such sockets are not to be had on Windows, nor where
their paths were longer than about 100 characters: there the ports stay.
"""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from tornado import web
from traitlets.config import Config

from lab_code.errors import LabError
from lab_code.tracking.runs import name_own_experiment, read_experiment_id
from lab_code.workshop.desk import read_servers
from lab_code.workshop.hub_page import hub_address
from lab_code.workshop.mlflow_gate import LINK
from lab_code.workshop.openable import find_first_line, list_openable

_RUN = "([0-9a-f]{32})"
FILES = "lab-files"
_LONGEST_PATH = 103  # of a socket on macOS; 107 on Linux
_SOCKET_NAME = len("/kernel-01234567-89ab-cdef-0123-456789abcdef-ipc-5000")


class OpenMlflow(JupyterHandler):
    """Sends the browser on to MLflow's page: to all runs, or to one."""

    @web.authenticated
    def get(self, run_id: str | None = None) -> None:
        """Answer with MLflow's address, or say that it does not run."""
        root = Path(self.settings["server_root_dir"]).expanduser()
        running = [server for server in read_servers(root) if server.name == "mlflow" and server.process()]
        address = hub_address(root) or (running[0].address if running else "")
        if not address:
            raise web.HTTPError(404, "MLflow is not running: lab ui")
        self.set_header("Cache-Control", "no-store")
        if run_id:
            experiment = read_experiment_id(root, name_own_experiment(root))
            one = f"experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"
            address = f"{address.partition('#')[0]}#/{one}"
        self.redirect(address)


class ShowRun(JupyterHandler):
    """A run as it stands in the kit now, for a page whose kernel draws elsewhere: see `notebook/live_table.js`."""

    @web.authenticated
    async def get(self, run_id: str) -> None:
        """Answer with the HTML of the run; a header says whether it is still being trained."""
        from lab_code.analysis.live import view_run
        from lab_code.plots.live_run import draw_run

        root = Path(self.settings["server_root_dir"]).expanduser()
        try:
            view, running = await asyncio.to_thread(view_run, root, run_id)
        except LabError as error:
            raise web.HTTPError(404, error.message) from error
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Lab-Run", "running" if running else "ended")
        link = url_path_join(self.settings["base_url"], LINK, run_id)
        await self.finish(draw_run(replace(view, link=link)))


class ListFiles(JupyterHandler):
    """The files that a click may open; of one of them (`?path=`) the line where reading begins."""

    @web.authenticated
    def get(self) -> None:
        """Answer with a list of paths in the kit, or with a line."""
        root = Path(self.settings["server_root_dir"]).expanduser()
        path, files = self.get_query_argument("path", ""), list_openable(root)
        self.set_header("Cache-Control", "no-store")
        if not path:
            self.finish({"files": files})
        elif path in files:
            self.finish({"line": find_first_line(root / path)})
        else:
            raise web.HTTPError(404, f"there is no file {path} to be opened")


def _load_jupyter_server_extension(server: ServerApp) -> None:
    base = server.web_app.settings["base_url"]
    handlers = ((LINK, OpenMlflow), (f"{LINK}/{_RUN}", OpenMlflow), (f"lab-run/{_RUN}", ShowRun), (FILES, ListFiles))
    server.web_app.add_handlers(".*$", [(url_path_join(base, path), handler) for path, handler in handlers])
    if os.name != "nt" and len(os.fsencode(server.runtime_dir)) + _SOCKET_NAME <= _LONGEST_PATH:
        server.kernel_manager.update_config(Config(KernelManager={"transport": "ipc"}))
