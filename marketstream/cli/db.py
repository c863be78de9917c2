"""`marketstream db`: look at the revision of the store, and take it up or down while no engine has it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from marketstream.cli.options import add_settings, log_to_stderr, settings_of

if TYPE_CHECKING:
    from marketstream.cli.options import Commands
    from marketstream.store.maintenance import SchemaReport


def add(commands: Commands) -> None:
    """Add the subcommand."""
    command = commands.add_parser("db", help="show or change the revision of the store")
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="show the revision, and whether this program can work with it")
    upgrade = actions.add_parser("upgrade", help="bring the store to a newer revision; this keeps everything")
    upgrade.add_argument("revision", nargs="?", default="head", metavar="REV", help="up to here (default: the newest)")
    downgrade = actions.add_parser(
        "downgrade", help="bring the store to an older revision, for an older program; newer tables are parked"
    )
    downgrade.add_argument("revision", metavar="REV", help="down to here; `base` is before the first")
    for action in (status, upgrade, downgrade):
        add_settings(action)
    command.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Do it and print what was done; 1 when the status is that of another program."""
    from marketstream.store.maintenance import downgrade_store, schema_report, upgrade_store

    settings = settings_of(chosen)
    log_to_stderr(settings.log_level)
    url, folder = settings.store_url.get_secret_value(), settings.data_dir
    if chosen.action == "status":
        report = schema_report(url, folder)
        print(f"{report.location}: {_standing(report)}")
        return 0 if report.after == report.newest else 1
    if chosen.action == "upgrade":
        print(_moved(upgrade_store(url, folder, chosen.revision), ""))
    else:
        parked = "; the rows of newer tables are parked, `marketstream db upgrade` takes them back"
        print(_moved(downgrade_store(url, folder, chosen.revision), parked))
    return 0


def _standing(report: SchemaReport) -> str:
    if report.after == report.newest:
        return f"revision {report.after}, the newest"
    if not report.known:
        return f"revision {report.after}, which this program does not know: install the newer marketstream that made it"
    if report.empty:
        return f"nothing there yet; the first start, or `marketstream db upgrade`, makes revision {report.newest}"
    return f"revision {report.after}, the newest is {report.newest}: run `marketstream db upgrade`"


def _moved(report: SchemaReport, note: str) -> str:
    if report.before == report.after:
        return f"{report.location}: at revision {report.after} already, nothing was done"
    return f"{report.location}: revision {report.before} -> {report.after}{note}"
