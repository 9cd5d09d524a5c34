"""What MLflow's page of runs shows when it is opened: the columns that matter, and charts that were chosen.

Its page keeps a view that somebody has saved (*Views*, *Save as new view*) in a tag of the experiment, and loads it
when the address names it: `…/runs?viewStateShareKey=lab-1`. `add_view` writes such a tag as MLflow 3.17 does; another
MLflow that does not know it shows its own columns. Whoever saves that view anew keeps what they have made of it.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from lab_code.data.ham10000 import DIAGNOSES
from lab_code.tracking.names import CURVES, name_single

KEY = "lab-1"  # the number changes with what is below: a view that is there already is never written again
TITLE = "what was learned"
_TAG = "mlflow.sharedViewState."
# Names in the browser's memory, as MLflow 3.17 writes them.
_MEMORY = 'MLflowLocalStorage-1.1-ExperimentPage-["${found[1]}"]-ReactComponentState'
_ASSISTANT = "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"

# In this order, with their widths in pixels: they fit a laptop's screen beside the page's own navigation.
_COLUMNS = {
    "attributes.`Run Name`": 150,
    "metrics.`best_balanced_accuracy`": 175,
    "metrics.`best_accuracy`": 110,
    "params.`optimizer.lr`": 95,
    "params.`loss.name`": 170,
    "params.`data.augment`": 110,
    "runDateAndNestInfo": 140,
    "duration": 75,
}
# Of runs, in turn: MLflow's own choice gives two of them the same. They are told apart by people who see few colours
# (Okabe and Ito, Color Universal Design, 2008), and each on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_MOST_CLASSES = 10  # that have charts of their own: what MLflow keeps of a view is at most 20,000 characters
_ALWAYS = ("attributes.`Run Name`", "runDateAndNestInfo", "duration")  # which no user can choose or leave out
_CHOSEN = "What was learned"
_SECTIONS = {  # title, and whether it is unfolded
    _CHOSEN: True,
    "sensitivity": False,
    "time": False,
    "Model metrics": False,
    "System metrics": False,
}


def add_view(database: sqlite3.Connection, experiment: int, codes: Sequence[str] = DIAGNOSES) -> None:
    """Give the experiment the view, where it has none of this name; `codes` are the classes of the data set."""
    mine = (_TAG + KEY, experiment)
    if database.execute("SELECT 1 FROM experiment_tags WHERE key = ? AND experiment_id = ?", mine).fetchone():
        return  # nothing is written: the folder may be one that cannot be written to
    view = {"name": TITLE, "createdAt": 0, "updatedAt": 0, "state": json.dumps(describe_view(codes))}
    written = "INSERT INTO experiment_tags (key, experiment_id, value) VALUES (?, ?, ?)"
    database.execute(written, (*mine, json.dumps(view)))


def choose_colour(number: int) -> dict[str, str]:
    """The tag that gives the run of this number its colour in MLflow's page."""
    return {"mlflow.runColor": _COLOURS[number % len(_COLOURS)]}


def describe_view(codes: Sequence[str] = DIAGNOSES) -> dict[str, Any]:
    """The state of the page: which runs, which columns, which charts."""
    return {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [column for column in _COLUMNS if column not in _ALWAYS],
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunCharts": _describe_charts(codes[:_MOST_CLASSES]),
        "compareRunSections": [
            {"uuid": title, "name": title, "display": unfolded, "isReordered": True, "deleted": False}
            for title, unfolded in _SECTIONS.items()
        ],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def remember_view(codes: Sequence[str] = DIAGNOSES) -> str:
    """A script for MLflow's page that makes this view the one which the browser remembers, where it has none yet.

    Without it a page that is loaded again forgets the columns of its address. The panel of MLflow's assistant, which
    asks a computer elsewhere, stays closed until somebody opens it.
    """
    nothing: dict[str, object] = {"runsExpanded": {}, "runsPinned": [], "runsHidden": [], "runsVisibilityMap": {}}
    state = json.dumps(json.dumps({**describe_view(codes), **nothing, "autoRefreshEnabled": True})).replace(
        "</", "<\\/"
    )
    return (
        f'localStorage.setItem("{_ASSISTANT}", "true");'
        "const found = location.hash.match(/experiments\\/(\\d+)/);"
        f"const place = found && `{_MEMORY}`;"
        f"if (place && !localStorage.getItem(place)) localStorage.setItem(place, {state});"
    )


def _describe_charts(codes: Sequence[str]) -> list[dict[str, Any]]:
    choices = [column.split("`")[1] for column in _COLUMNS if column.startswith("params.")]
    lines = {
        "selectedParams": choices,
        "selectedMetrics": ["best_balanced_accuracy"],
        "showAllRuns": False,
    }
    charts = [{**_describe_chart("PARALLEL", _CHOSEN, "settings"), **lines}]
    charts += [_describe_curve(_CHOSEN, name, name.replace("_", " ")) for name in CURVES]
    charts += [_describe_curve("sensitivity", f"sensitivity/{dx}", dx) for dx in codes]
    # A single number is no chart: MLflow would draw one for each of them that is not said to be removed.
    charts += [
        {**_describe_chart("BAR", "Model metrics", name), "metricKey": name, "deleted": True}
        for name in name_single(codes)
    ]
    return charts


def _describe_chart(kind: str, section: str, uuid: str) -> dict[str, Any]:
    chart = {"uuid": uuid, "type": kind, "metricSectionId": section, "runsCountToCompare": 10}
    return {**chart, "deleted": False, "isGenerated": False}


def _describe_curve(section: str, metric: str, title: str) -> dict[str, Any]:
    return {
        **_describe_chart("LINE", section, metric),
        "metricKey": metric,
        "displayName": title,
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }
