"""A lake as one Airflow DAG: is anything stale, run it, say what came of it.

The lake's folder is the Airflow variable (or environment) LIMN_LAKE. limn plans, retries nothing by itself and ends with
an exit code that says whether trying again can help; the tasks turn that into what Airflow does.
"""

import json
import os
import subprocess

import pendulum
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

LAKE = os.environ.get("LIMN_LAKE", "/srv/lakes/sales")


def limn(*arguments: str, done: tuple[int, ...] = (0,)) -> tuple[int, dict]:
    """Runs a command of limn and returns its exit code and its JSON. Raises what Airflow should do about any other code."""
    process = subprocess.run(
        [f"{LAKE}/node_modules/.bin/limn", *arguments, "--json"],
        cwd=LAKE, stdout=subprocess.PIPE, text=True, check=False,
    )  # standard error goes to the task's log
    result = json.loads(process.stdout) if process.stdout.strip() else {}
    if process.returncode in done:
        return process.returncode, result
    error = result.get("error", {})
    said = " ".join(str(error[key]) for key in ("kind", "message", "remedy") if error.get(key)) or json.dumps(result)[:2000]
    if process.returncode in (2, 3):  # configuration, or a gate refused: trying again changes nothing
        raise AirflowFailException(said)
    raise RuntimeError(said)  # Airflow tries again


@dag(
    schedule="*/10 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,  # a run builds all that is stale, however many ticks were missed
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=2)},
    tags=["limn"],
)
def limn_lake():
    @task
    def plan() -> int:
        code, result = limn("plan", "--exit-code", done=(0, 4))
        if code == 0:
            raise AirflowSkipException("Nothing is stale.")
        return len(result.get("items", []))

    @task
    def run(_planned: int) -> str:
        _, report = limn("run", "--wait", "8m")
        return f"{report['outcome']} {report['run']}"

    @task
    def report(outcome: str) -> None:
        print(outcome)

    report(run(plan()))


limn_lake()
